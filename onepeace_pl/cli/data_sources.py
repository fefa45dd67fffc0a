"""Sources of a config, built one by one, without model and tokenizers."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onepeace_pl.cli.catalogue import describes_run
from onepeace_pl.cli.merge import content_of
from onepeace_pl.cli.short_names import in_full
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from onepeace_pl.data.source import Source

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


def rows_of(config: Path, split: str) -> "dict[str, Source]":
    """Return the rows of a split by the name of its sets, from a run's config, a data module's or a single source's.

    Args:
        config: The file; a source on its own has the name of its file, whatever the split.
        split: One of :data:`SPLITS`.

    Raises:
        UserError: There is no such split, or a source cannot be made.
    """
    from onepeace_pl.cli.parser import Parser
    from onepeace_pl.data.datamodule import SourceDataModule
    from onepeace_pl.data.source import Source

    content = in_full(content_of(config))
    if isinstance(content, dict) and "class_path" in content and issubclass(class_of(content), Source):
        parser = Parser()
        parser.add_subclass_arguments(Source, "data", required=True)
        spec = parser.parse_args(["--data", str(config)]).data.as_dict()
        return {config.stem: _source(config.stem, spec)}
    found: dict[str, Source] = {}
    for task, data in described_tasks(described_data(config)).items():
        own = {
            name: _source(name, spec) for name, spec in described_sources(data) if name.split("/")[0] == split
        }
        if not any(True for _ in described_sources(data)):
            module, error = made(data)
            if not isinstance(module, SourceDataModule):
                raise UserError(f"{config}: {error or 'it names no sources'}")
            own = {f"{split}/{each.name}": each.rows for each in module.evaluation_sets(split)}  # type: ignore[arg-type]
        found |= {
            f"{task}/{name.removeprefix(f'{split}/')}".removeprefix("/"): each for name, each in own.items()
        }
    if not found:
        raise UserError(f"{config}: no rows for {split}; choose another of {', '.join(SPLITS)}")
    return found


def _source(name: str, spec: JsonObject) -> "Source":
    from onepeace_pl.data.source import Source

    source, error = made(spec)
    if not isinstance(source, Source):
        raise UserError(f"{name}: {error}")
    return source


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
