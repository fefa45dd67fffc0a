"""The verbs ``data shard`` and ``data index``: tar shards in WebDataset's layout, and their index."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onepeace_pl.cli.evaluated_rows import is_config, parse_column, printed_warnings
from onepeace_pl.cli.shipped import find_config
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.data.source import Source

LISTED: Final = 5
"""Reasons and tars that are printed."""

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def write(words: list[str]) -> int:
    """Run ``data shard`` and return the exit code."""
    parser = argparse.ArgumentParser(
        "data shard", description="Write rows to tar shards in WebDataset's layout, with an index."
    )
    parser.add_argument(
        "data",
        nargs="+",
        help="tables (.tsv, .csv, .jsonl) or folders of files, several merged by id; or a config of a source, a data "
        "module, of a run, or the name of a shipped one",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder of the shards")
    parser.add_argument("--max-count", type=int, default=10_000, help="samples of a shard; default: 10000")
    parser.add_argument("--max-size", default="1G", help="bytes of a shard, such as 500M; default: 1G")
    parser.add_argument("--name", default="shard", help="shards are named NAME-000000.tar; default: shard")
    parser.add_argument(
        "--on-error", choices=("raise", "skip"), default="raise", help="rows that cannot be read"
    )
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), default="train", help="of a config"
    )
    parser.add_argument("--set", metavar="NAME", help="set of the split, where it has several")
    parser.add_argument("--columns", nargs="+", metavar="FIELD=COLUMN", default=[], help="as for evaluate")
    parser.add_argument("--id-column", nargs="+", metavar="COLUMN", default=[], help="as for evaluate")
    parser.add_argument("--root", metavar="FOLDER", help="start of media paths; default: the table's folder")
    options = parser.parse_args(words)
    size = _bytes(options.max_size)
    source = _config_rows(options) if is_config(options.data) else _table_rows(options)
    from onepeace_pl.data.shards.writer import LEFT_OUT, count_reasons, write_shards

    described = {name: getattr(options, name) for name in ("split", "set", "columns", "id_column", "root")}
    described["data"] = [os.path.abspath(each) if os.path.exists(each) else each for each in options.data]
    report = write_shards(
        source, options.to, options.name, options.max_count, size, options.on_error, described
    )
    print(f"{options.to}: {report.rows:,} rows in {report.shards:,} shards")
    if report.left_out:
        print(f"{len(report.left_out):,} rows left out, listed in {options.to / LEFT_OUT}:")
        for reason, count in count_reasons(report.left_out)[:LISTED]:
            print(f"  {count:,}  {reason}")
    return 0


def index(words: list[str]) -> int:
    """Run ``data index`` and return the exit code: 1 where a tar is left out."""
    parser = argparse.ArgumentParser("data index", description="Make the index of tar shards.")
    parser.add_argument("folder", help="folder of the shards, or its URL (s3://bucket/train); or a .tsv")
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="folder of the index; default: `index` in that of the shards",
    )
    parser.add_argument(
        "--on-error", choices=("raise", "skip"), default="raise", help="tars that cannot be read"
    )
    options = parser.parse_args(words)
    from onepeace_pl.data.shards.byte_ranges import is_remote
    from onepeace_pl.data.shards.index import INDEX, find_tars, index_shards

    if options.folder.lower().endswith(".tsv"):
        from onepeace_pl.data.sources.tsv import write_index

        file, rows = write_index(Path(options.folder))
        print(f"{file}: {rows:,} rows")
        return 0
    folder = options.folder.removeprefix("file://").rstrip("/") or "/"
    if options.to is None and is_remote(folder):
        raise UserError(f"{folder}: an index is written to a local folder; name one with --to")
    names = find_tars(folder)
    target = options.to or Path(folder, INDEX)
    rows, broken = index_shards([f"{folder}/{name}" for name in names], target, names, options.on_error)
    print(f"{target}: {rows:,} rows in {len(names) - len(broken):,} shards")
    for reason in broken[:LISTED]:
        print(f"left out {reason}")
    if len(broken) > LISTED:
        print(f"and {len(broken) - LISTED:,} more")
    return 1 if broken else 0


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)B?", text.upper())
    if not match:
        raise UserError(f"--max-size {text}: write bytes, or 500M, or 1G")
    return int(match[1]) * _UNITS[match[2]]


def _config_rows(options: argparse.Namespace) -> Source:
    from onepeace_pl.cli.data_sources import rows_of

    for flag in ("columns", "id_column", "root"):
        if getattr(options, flag):
            raise UserError(f"--{flag.replace('_', '-')} is for tables; set it for the sources of the config")
    with printed_warnings():
        found = rows_of(find_config(options.data[0], kind="parts/data"), options.split)
    names = {name.removeprefix(f"{options.split}/"): rows for name, rows in found.items()}
    if options.set is None and len(names) > 1:
        raise UserError(f"{options.data[0]}: several sets; choose one with --set: {', '.join(names)}")
    wanted = options.set or next(iter(names))
    if wanted not in names:
        raise UserError(f"--set {wanted}: no such set; there are {', '.join(names)}")
    return names[wanted]


def _table_rows(options: argparse.Namespace) -> Source:
    from onepeace_pl.data.sources.manifest import KNOWN
    from onepeace_pl.data.sources.opening import TableFiles
    from onepeace_pl.modalities.base import modality_of

    columns = dict(map(parse_column, options.columns))
    modalities = list(dict.fromkeys((*KNOWN, *map(modality_of, columns))))
    files = TableFiles(options.data, modalities, columns, options.id_column, options.root, usual=True)
    for field, column in files.usual_columns.items():
        print(f"note: {field} is read from the column {column!r} (--columns {field}={column})")
    if not files.fields:
        raise UserError(
            f"{', '.join(options.data)}: no columns of images, audio or text among {', '.join(files.columns)}; name "
            "yours, such as --columns image=COLUMN"
        )
    with printed_warnings():
        return files.source(files.fields)
