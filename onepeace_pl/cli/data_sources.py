"""Sources of a config, built one by one, without model and tokenizers."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from onepeace_pl.cli.catalogue import describes_run
from onepeace_pl.utils.json_files import JsonObject

SPLITS = ("train", "validation", "test")


def described_data(config: Path) -> JsonObject:
    """Return class and options of the data module of a config, be it a whole run's or its data's alone."""
    from onepeace_pl.cli import stand_in
    from onepeace_pl.cli.parser import Parser

    if describes_run(config):
        whole: JsonObject = stand_in.resolve(["--config", str(config)])["data"]
        return whole
    import lightning as L

    parser = Parser()
    parser.add_subclass_arguments(L.LightningDataModule, "data", required=True)
    parsed: JsonObject = parser.parse_args(["--data", str(config)]).data.as_dict()
    return parsed


def described_tasks(data: JsonObject) -> dict[str, JsonObject]:
    """Return the data of each task by its name; of one task alone, under an empty name."""
    return dict(data.get("init_args", {}).get("tasks") or {"": data})


def described_sources(data: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield name and description of each source."""
    options = data.get("init_args", {})
    for split in SPLITS:
        described = options.get(split)
        if not described:
            continue
        if "class_path" in described:
            yield split, described
        else:
            yield from ((f"{split}/{name}", spec) for name, spec in described.items())


def made(spec: JsonObject) -> tuple[object, str]:
    """Return what a class and its options make, or None and why not."""
    from onepeace_pl.cli.failures import user_message

    try:
        return _instance(spec), ""
    except Exception as error:
        line = user_message(error)
        if line is None:
            raise
        return None, line


def class_of(spec: JsonObject) -> type:
    """Return the class that a description names."""
    module, _, name = str(spec["class_path"]).rpartition(".")
    kind: type = getattr(import_module(module), name)
    return kind


def _instance(spec: Any) -> Any:
    """Make a class of its options, those first that are classes themselves; types are checked already."""
    if isinstance(spec, dict):
        if "class_path" not in spec:
            return {name: _instance(value) for name, value in spec.items()}
        options = {key: _instance(value) for key, value in (spec.get("init_args") or {}).items()}
        return class_of(spec)(**options)
    return [_instance(value) for value in spec] if isinstance(spec, list) else spec
