"""``mmcv._ext`` without a compiler: a module that Python finds where no compiled one is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from onepeace_pl.integrations.openmmlab.operators import OPERATORS

NAME: Final = "mmcv._ext"


def provide() -> None:
    """Make ``mmcv._ext`` importable; must come before the first import of ``mmcv.ops``.

    The finder is the last that Python asks, so a compiled extension has priority.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(NAME, self, origin=__file__) if fullname == NAME else None

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(OPERATORS)
        vars(module)["__getattr__"] = _missing  # mmcv looks up all of its operators, and calls few


def _missing(name: str) -> Callable[..., Any]:
    """Return a stand-in for an operator that is not among ours: it can be imported, not called."""
    if name.startswith("__"):
        raise AttributeError(name)

    def operator(*args: Any, **options: Any) -> Any:
        raise NotImplementedError(
            f"mmcv's operator {name} needs a compiled mmcv; without one there are {', '.join(OPERATORS)}"
        )

    return operator
