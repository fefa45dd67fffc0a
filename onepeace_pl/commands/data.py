"""Check the data of a config, write or index shards, or show the file layout of a benchmark.

data check CONFIG [flags]     rows, classes, files and labels of every split; exit code 1 if there is a problem
data shard DATA --to FOLDER   write tables, folders or the rows of a config to tar shards in WebDataset's layout
data index FOLDER             make the index of tar shards that come from elsewhere, or of a .tsv
data layout NAME              the file layout of a benchmark
data ls                       the benchmarks

CONFIG is the config of a run, a config of configs/parts/data, or its name (esc50).
"""

import argparse
import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onepeace_pl.cli import shards
from onepeace_pl.cli.catalogue import purpose
from onepeace_pl.cli.data_sources import (
    class_of,
    described_data,
    described_sources,
    described_tasks,
    made,
)
from onepeace_pl.cli.shipped import find_config, shipped
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from onepeace_pl.data.inspection import InspectionReport


def main(argv: Sequence[str]) -> int:
    """Run one of them and return the exit code."""
    actions: dict[str, Callable[[list[str]], int]] = {
        "check": _check,
        "shard": shards.write,
        "index": shards.index,
        "layout": _layout,
        "ls": _ls,
    }
    action, *words = argv or ["--help"]
    if action in ("-h", "--help"):
        print(__doc__)
        return 0
    if action not in actions:
        raise UserError(f"data has no '{action}'; {nearest(action, actions)}")
    return actions[action](words)


@dataclass
class _Split:
    """One source of a config: made, or the reason why not."""

    name: str
    reader: str
    layout: str
    source: Any = None
    error: str = ""
    said: tuple[str, ...] = ()
    report: "InspectionReport | None" = None

    @property
    def misses_files(self) -> bool:
        """Whether the layout would help."""
        return self.source is None or bool(self.report and self.report.missing)


def _check(words: list[str]) -> int:
    parser = argparse.ArgumentParser("data check", description="Check rows, classes, files and labels.")
    parser.add_argument("config", help="config of a run, config of configs/parts/data, or its name")
    parser.add_argument("--root", type=Path, help="folder of relative paths; default: the working directory")
    parser.add_argument("--media", default="100", help="rows of each split to open, or 'all'")
    options = parser.parse_args(words)
    if options.media != "all" and not options.media.isdecimal():
        raise UserError(f"--media {options.media} is neither a number nor 'all'")
    if options.root is not None and not options.root.is_dir():
        raise UserError(f"--root {options.root}: no such folder")
    config = find_config(options.config, kind="parts/data").absolute()
    data = described_data(config)
    with contextlib.chdir(options.root or "."):
        splits = []
        for task, own in described_tasks(data).items():
            mine = list(_splits(own))
            _inspect(own, mine, None if options.media == "all" else int(options.media))
            for split in mine:
                split.name = f"{task}/{split.name}".removeprefix("/")
            splits += mine
    print(f"{options.config}: {purpose(config) or data['class_path']}")
    for text in dict.fromkeys(split.layout for split in splits if split.layout and split.misses_files):
        print(f"\nwhere files go, each below datasets/:\n{text}")
    for split in splits:
        print()
        _print(split)
    wrong = sum(not (split.report and split.report.is_right) for split in splits)
    print(f"\n{len(splits) - wrong} of {len(splits)} splits are right")
    return 1 if wrong or not splits else 0


def _layout(words: list[str]) -> int:
    parser = argparse.ArgumentParser("data layout", description="Show the file layout of a benchmark.")
    parser.add_argument("name", help="config of configs/parts/data, or its name; `data ls` lists them")
    config = find_config(parser.parse_args(words).name, kind="parts/data")
    tasks = described_tasks(described_data(config)).values()
    texts = [_text(spec) for data in tasks for _, spec in described_sources(data)]
    layouts = dict.fromkeys(filter(None, texts))
    if not layouts:
        raise UserError(f"{config}: its sources have no layout")
    print("each below datasets/:\n" + "\n\n".join(layouts))
    return 0


def _ls(words: list[str]) -> int:
    argparse.ArgumentParser("data ls", description="List the benchmarks of configs/parts/data.").parse_args(
        words
    )
    files = sorted((shipped() / "parts/data").glob("*.yaml"))
    width = max(len(path.stem) for path in files) + 2
    for path in files:
        print(f"{path.stem:{width}}{purpose(path)}".rstrip())
    return 0


def _splits(data: JsonObject) -> Iterator[_Split]:
    """Make each source; a data module that makes its own is made as a whole."""
    from onepeace_pl.data.source import Source

    specs = list(described_sources(data))
    for name, spec in specs:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            source, error = made(spec)
            assert source is None or isinstance(source, Source)  # the parser has checked it
        notes = tuple(str(each.message) for each in said)
        yield _Split(name, spec["class_path"].rpartition(".")[2], _text(spec), source, error, notes)
    if specs:
        return
    module, error = made(data)
    if module is None:
        yield _Split("data", data["class_path"].rpartition(".")[2], "", None, error)
        return
    from onepeace_pl.data.datamodule import SourceDataModule
    from onepeace_pl.data.needs import EVALUATION_SPLITS

    if not isinstance(module, SourceDataModule):
        raise UserError(f"{data['class_path']} names no sources; there is nothing to check")
    if module.train is not None:
        yield _Split("train", type(module.train).__name__, "", module.train)
    for split in EVALUATION_SPLITS:
        for each in module.evaluation_sets(split):
            yield _Split(f"{split}/{each.name}", type(each.rows).__name__, "", each.rows)


def _text(spec: JsonObject) -> str:
    """Return the layouts of a source and of those inside it."""
    from onepeace_pl.data.source import Source

    kind = class_of(spec)
    assert issubclass(kind, Source)  # the parser has checked it
    own = inspect.cleandoc(kind.layout)
    inside = (spec.get("init_args") or {}).get("sources") or ()
    inner = [_text(each) for each in (inside.values() if isinstance(inside, dict) else inside)]
    return "\n".join(filter(None, [own, *inner]))


def _inspect(data: JsonObject, splits: Sequence[_Split], media: int | None) -> None:
    from onepeace_pl.data.datasets.class_names import class_names
    from onepeace_pl.data.inspection import inspect as look
    from onepeace_pl.modalities.base import Processor

    options = data.get("init_args", {})
    needed = {name for split in splits if split.source for name in split.source.modalities}
    processors = {}
    for name, spec in (options.get("processors") or {}).items():
        if name in needed and name != "text":  # text needs no opening, and its processor a tokenizer
            processor, error = made(spec)
            if processor is None:
                raise UserError(f"processors.{name}: {error}")
            assert isinstance(processor, Processor)  # the parser has checked it
            processors[name] = processor
    classes = class_names(options.get("classes") or ())
    for split in splits:
        if split.source is None:
            continue
        split.report = look(split.source, classes, processors, media)
        if split.name == "train" and not classes:
            classes = tuple(split.source.classes)  # the classes that the model learns


def _print(split: _Split) -> None:
    print(f"{split.name}: {split.reader}")
    report = split.report
    if report is None:
        print(f"  wrong     {split.error}")
        return
    ids = "" if report.ids is None else f", {report.ids:,} ids"
    print(f"  rows      {report.rows:,}{ids}")
    if any(report.classes.values()):
        print(f"  classes   {_frequencies(report)}")
    if report.files is not None:
        gone = "all there"
        if report.missing:
            gone = f"{len(report.missing):,} missing, the first: {report.missing[0]}"
        print(f"  files     {report.files:,}, {gone}")
    print(f"  opened    {report.opened:,} rows")
    for note in (*split.said, *report.notes):
        print(f"  note      {note}")
    from onepeace_pl.data.inspection import SHOWN

    for line in report.wrong[:SHOWN]:
        print(f"  wrong     {line}")
    if len(report.wrong) > SHOWN:
        print(f"  wrong     ... and {len(report.wrong) - SHOWN:,} more")


def _frequencies(report: "InspectionReport") -> str:
    ordered = sorted(report.classes, key=lambda name: report.classes[name])
    few, many = ordered[0], ordered[-1]
    ends = f"fewest rows {report.classes[few]:,} ({few}), most {report.classes[many]:,} ({many})"
    text = f"{len(report.classes):,}; {ends}"
    empty = sum(not count for count in report.classes.values())
    return f"{text}; {empty:,} without any" if empty else text
