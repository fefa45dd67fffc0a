"""Substitute of the compiled module ``mmcv._ext``, for mmcv-lite."""

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
    """Make ``mmcv._ext`` importable; call before the first import of ``mmcv.ops``.

    The finder is the last in ``sys.meta_path``, so a compiled extension has priority.
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
        vars(module)["__getattr__"] = _missing  # mmcv looks up all operators on import, and calls few


def _missing(name: str) -> Callable[..., Any]:
    """Return a placeholder of an unsupported operator, which raises when called."""
    if name.startswith("__"):
        raise AttributeError(name)

    def operator(*args: Any, **options: Any) -> Any:
        raise NotImplementedError(
            f"mmcv's operator {name} needs a compiled mmcv; without one there are {', '.join(OPERATORS)}"
        )

    return operator
