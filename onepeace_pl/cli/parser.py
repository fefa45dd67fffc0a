"""The parser of the Trainer's verbs: errors in one line, no abbreviated flags."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from jsonargparse import Namespace, add_instantiator
from lightning.pytorch.cli import LightningArgumentParser

from onepeace_pl.cli.explain import explain
from onepeace_pl.cli.failures import constructing
from onepeace_pl.cli.merge import PARENTS, ReadingParser, content_of, mentions
from onepeace_pl.cli.shipped import ENDINGS
from onepeace_pl.utils.json_files import JsonObject
from onepeace_pl.utils.regular_files import is_endless

_Class = TypeVar("_Class")


class Parser(ReadingParser, LightningArgumentParser):
    """LightningCLI's parser, strict and short-spoken; an abbreviated flag (``--...dept``) does not pass for
    another.
    """

    def __init__(self, *args: Any, allow_abbrev: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=allow_abbrev, **kwargs)

    def parse_object(
        self,
        obj: Namespace | JsonObject,
        namespace: Namespace | None = None,
        env: bool | None = None,
        defaults: bool = True,
        **options: object,
    ) -> Namespace:
        """Parse nested values on top of earlier ones."""
        for key, value in dict(obj).items():
            _make_way(namespace, key, value)
        parsed: Namespace = super().parse_object(obj, namespace, env, defaults, **options)
        return parsed

    def _apply_actions(self, cfg: Any, parent_key: str = "", *args: Any, **options: Any) -> Any:
        """Take in the values of a file, but for those that it starts from: they were read before it.

        jsonargparse would read a single one again here, alone and without what that one starts from itself.
        """
        if self.reading and not parent_key and isinstance(cfg, Mapping):
            cfg = {key: value for key, value in cfg.items() if key != PARENTS}
        return super()._apply_actions(cfg, parent_key, *args, **options)

    def parse_args(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        namespace: Namespace | None = None,
        env: bool | None = None,
        defaults: bool = True,
        **options: object,
    ) -> Namespace:
        """Parse words on top of earlier values."""
        for value in (str(word).rpartition("=")[2] for word in args or ()):
            if is_endless(value):  # the parser reads what a value may name, and would wait for ever
                self.error(f"'{value}' is a pipe or a device; give a file")
        for word in (args or ()) if namespace is not None else ():
            key, equals, value = str(word).removeprefix("--").partition("=")
            if equals and value.lstrip().startswith("{"):
                with suppress(yaml.YAMLError):  # the parser proper will complain
                    _make_way(namespace, key, yaml.safe_load(value))
        if args is not None and self.exit_on_error:
            args = _with_entries([str(word) for word in args])
        return super().parse_args(args, namespace, env, defaults, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and leave with exit code 2."""
        if not self.exit_on_error:  # the parser of a nested class; its caller adds where
            super().error(message, ex)
        line = explain(
            message, ex, self.get_defaults().keys(), Path(self.reading[-1]) if self.reading else None
        )
        print("error:", line, file=sys.stderr)
        raise SystemExit(2)


def _construct(class_type: type[_Class], *args: Any, **kwargs: Any) -> _Class:
    """Make an object that a config names, be it at once or later, as the backbone and the optimizer are."""
    with constructing():
        return class_type(*args, **kwargs)


add_instantiator(_construct, object)


def _with_entries(words: Sequence[str]) -> list[str]:
    """Replace the file of a class that a flag gives for an entry of a mapping by its content.

    jsonargparse reads a file that an option of its own names, but none for ``--model.backbone.adapters.audio``.
    """
    found = []
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not equals or not option.startswith("-"):
            option, value = (words[at - 1] if at else ""), word
        path, is_entry = Path(value), option.startswith("--") and option.count(".") > 1
        if is_entry and path.suffix in ENDINGS and path.is_file() and not any(mentions(path)):
            content = content_of(path)
            if isinstance(content, Mapping) and "class_path" in content:
                value = yaml.safe_dump(content, default_flow_style=True, width=10**6).strip()
        found.append(f"{option}={value}" if equals and word.startswith("-") else value)
    return found


def _make_way(earlier: object, key: str, value: object) -> None:
    """Take an earlier choice out where a value means another kind, as ``{last: 2}`` after ``{extend: audio}``.

    Mappings add up, but these two would be neither. They are closed dataclasses, distinguished by their options.
    """
    if not isinstance(earlier, Namespace):
        return
    chosen = earlier.get(key)
    path = chosen.get("class_path") if isinstance(chosen, Namespace) else None
    if path is None or not isinstance(value, Mapping | Namespace) or "class_path" in value:
        return
    module, _, name = path.rpartition(".")
    kind = getattr(import_module(module), name)
    closed = getattr(kind, "__final__", False) and dataclasses.is_dataclass(kind)
    if closed and not set(value.keys()) <= {field.name for field in dataclasses.fields(kind)}:
        earlier.pop(key)
