"""Cheaper imports of torch and Lightning, which are most of what a command does before its work begins.

Garbage collection pauses, since an import makes a million objects and no garbage. And torchmetrics, which Lightning
imports, would import torchvision and scipy.signal for metrics that are seldom used: they are deferred to first use.
"""

import gc
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

DEFERRED = ("scipy.signal", "torchvision", "torchvision.models")


class LightImports(MetaPathFinder):
    """Finder of packages whose import pauses garbage collection and defers the imports of :data:`DEFERRED`.

    Args:
        packages: Top-level packages, which need not be imported ever.
    """

    def __init__(self, *packages: str) -> None:
        self._packages = set(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the other finders, with a loader that makes the import cheap."""
        if fullname not in self._packages:
            return None
        self._packages.remove(fullname)  # asked for it again, this finder passes
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _LightLoader(spec.loader)
        return spec


class Deferred:
    """Stand-in for a module, or for a name in one, that is imported when it is called, derived from or looked into.

    Args:
        name: Dotted name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what inspect and typing ask of any object
            raise AttributeError(name)
        return Deferred(f"{self._name}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Import it, and call it."""
        return self._load()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._load(),)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self._load())

    def _load(self) -> Any:
        _withdraw(self._name.partition(".")[0])
        return pkgutil.resolve_name(self._name)


class _DeferredPath:
    """Stand-in for a package's ``__path__``: an import of another submodule looks into it, and needs the package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __iter__(self) -> Iterator[str]:
        _withdraw(self._package.partition(".")[0])
        return iter(importlib.import_module(self._package).__path__)


class _LightLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        with _paused_collection(), _deferred():
            self._loader.exec_module(module)


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Pause garbage collection."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _deferred() -> Iterator[None]:
    """Put stand-ins for :data:`DEFERRED`, as far as they are not there, into ``sys.modules``."""
    own = [
        name for name in DEFERRED if name not in sys.modules
    ]  # of two nested imports, the outer one's last longer
    for name in own:
        # the import system takes any object with these two for a package
        stand_in: Any = Deferred(name)
        stand_in.__spec__, stand_in.__path__ = ModuleSpec(name, None), _DeferredPath(name)
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in own:
            _withdraw(name)


def _withdraw(package: str) -> None:
    """Take the stand-ins of a package, or of a module of it, out of ``sys.modules``."""
    for name in DEFERRED:
        if f"{name}.".startswith(f"{package}.") and isinstance(sys.modules.get(name), Deferred):
            del sys.modules[name]
