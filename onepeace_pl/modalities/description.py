"""Parts as plain data: class path and options, by scikit-learn's convention.

A part keeps every option of its constructor as an attribute of the same name; so it can be described and made
again.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, TypeVar

from onepeace_pl.utils.trust import find_class

T = TypeVar("T")


def describe(part: object, given: int = 0) -> dict[str, Any]:
    """Return ``{"class_path": ..., "init_args": {...}}``.

    Args:
        part: The part.
        given: Number of leading constructor parameters that code supplies, not the user.

    Raises:
        TypeError: The part does not keep an option as an attribute, or its class could not be imported again.
    """
    kind = type(part)
    if "<locals>" in kind.__qualname__:
        raise TypeError(f"{kind.__name__} is defined inside a function; move it to the top of a module")
    own = kind.__init__ is not object.__init__  # whose signature is (*args, **kwargs)
    names = list(inspect.signature(kind.__init__).parameters)[1 + given :] if own else []
    missing = [name for name in names if not hasattr(part, name)]
    if missing:
        raise TypeError(
            f"{kind.__name__} does not keep its option {missing[0]!r} as an attribute of that name"
        )
    return {
        "class_path": f"{kind.__module__}.{kind.__qualname__}",
        "init_args": {name: _plain(getattr(part, name)) for name in names},
    }


def factory(spec: Mapping[str, Any], base: type[T], owner: str, trust: bool = False) -> partial[T]:
    """Return the class of a description with its options bound, waiting for what code supplies.

    Args:
        spec: A description.
        base: What the class must derive from.
        owner: What is being built, for errors.
        trust: Import the module that it names, whatever it is.

    Raises:
        ValueError: The class cannot be found, or is not trusted (:mod:`onepeace_pl.utils.trust`).
        TypeError: It is no ``base``.
    """
    return partial(find_class(spec["class_path"], base, owner, trust), **spec.get("init_args", {}))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
