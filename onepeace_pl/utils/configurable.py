"""Objects as plain data: a class path and constructor arguments, as in configs, model folders and checkpoints."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import ClassVar, Self

from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject
from onepeace_pl.utils.trust import find_class


class Configurable:
    """Mix-in of classes that are saved as a class path and constructor arguments, and made again from them.

    As in scikit-learn, each constructor argument is kept as an attribute of the same name.

    Attributes:
        supplied_arguments: Number of leading constructor arguments that code supplies; they are no part of the config.
    """

    supplied_arguments: ClassVar[int] = 0

    def to_config(self) -> JsonObject:
        """Return ``{"class_path": ..., "init_args": {...}}``.

        Raises:
            UserError: A constructor argument is not kept as an attribute, or the class cannot be imported.
        """
        kind = type(self)
        if "<locals>" in kind.__qualname__:
            raise UserError(f"{kind.__name__} is defined inside a function; move it to the top of a module")
        own = kind.__init__ is not object.__init__  # whose signature is (*args, **kwargs)
        names = (
            list(inspect.signature(kind.__init__).parameters)[1 + self.supplied_arguments :] if own else []
        )
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise UserError(
                f"{kind.__name__} does not keep its option {missing[0]!r} as an attribute of that name"
            )
        return {
            "class_path": f"{kind.__module__}.{kind.__qualname__}",
            "init_args": {name: _plain(getattr(self, name)) for name in names},
        }

    @classmethod
    def from_config(cls, config: JsonObject, *supplied: object, owner: str = "", trust: bool = False) -> Self:
        """Make the object that :meth:`to_config` describes.

        Args:
            config: Class path and constructor arguments.
            supplied: Leading constructor arguments that are no part of the config.
            owner: Name of the object in error messages.
            trust: Import the class whatever its module (:mod:`onepeace_pl.utils.trust`).

        Raises:
            UserError: The class cannot be found, is not trusted, or is no subclass of this class.
        """
        kind = find_class(config["class_path"], cls, owner or cls.__name__, trust)
        return kind(*supplied, **config.get("init_args", {}))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
