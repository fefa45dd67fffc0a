"""Classes and their options as a config has them: short names, without defaults."""

from __future__ import annotations

import inspect
from pathlib import Path

from onepeace_pl.cli.short_names import modules_by_class
from onepeace_pl.utils.configurable import Configurable
from onepeace_pl.utils.json_files import JsonObject


def spec(kind: type, **options: object) -> JsonObject:
    """Return ``class_path`` and ``init_args`` of a class, without options at their defaults."""
    return short({"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": options}, kind)


def spec_of(made: Configurable, **changes: object) -> JsonObject:
    """Return class and options of a processor or an adapter, some of them changed."""
    config = made.to_config()
    return short({**config, "init_args": {**config["init_args"], **changes}}, type(made))


def short(config: JsonObject, kind: type) -> JsonObject:
    """Return a config with the short name of its class and without options at their defaults."""
    defaults = {name: each.default for name, each in inspect.signature(kind).parameters.items()}
    options = {
        name: _plain(value)
        for name, value in config["init_args"].items()
        if _plain(value) != _plain(defaults.get(name, inspect.Parameter.empty))
    }
    module, _, name = config["class_path"].rpartition(".")
    path = name if modules_by_class().get(name) == module else config["class_path"]
    return {"class_path": path, "init_args": options} if options else {"class_path": path}


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
