"""Items of folders, files, patterns and tables."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from onepeace_pl.data.source import Row, values_of
from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.data.sources.opening import TABLES, TableFiles
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.search.item import TEXT, Item, MetadataValue

_PATTERN: Final = "*?["


def find_items(
    paths: Sequence[str | Path],
    modalities: Sequence[str],
    modality: str | None = None,
    columns: Mapping[str, str] | None = None,
    id_column: str | None = None,
    root: str | None = None,
) -> Iterator[Item]:
    """Yield the items of files, in the order of the paths; folders and patterns alphabetically.

    Media files have their absolute path as id. A text file has one text a line, ``file.txt:3``. A table (``.csv``,
    ``.tsv``, ``.jsonl``) has columns named as a modality: paths (also from the table's folder), and texts with the id
    ``file.csv#row``; its texts are also captions of the media in their row, and its other columns metadata.

    Args:
        paths: Files, folders, patterns such as ``photos/**/*.jpg``, and tables.
        modalities: Modalities of the model.
        modality: Take all files as this modality, and of tables only its column.
        columns: Field of a table to its column, where they have other names.
        id_column: Column of ids of tables; by default ``id``, or the number of the row.
        root: Folder that media paths of tables start from; None takes that of each table.

    Raises:
        UserError: A path does not exist, a folder or pattern has nothing to index, the modality of a file is unknown,
            or the model has no such modality.
    """
    if modality is not None and modality not in modalities:
        raise UserError(f"no modality {modality!r}; the model has {', '.join(modalities)}")
    for given in paths:
        for path in _expanded(str(given)):
            if path.is_dir():
                yield from _of_folder(path, modalities, modality)
            elif path.suffix.lower() in TABLES:
                yield from _of_table(path, modalities, modality, columns, id_column, root)
            else:
                yield from _of_file(path, _modality(path, modalities, modality))


def _expanded(given: str) -> list[Path]:
    if os.path.exists(given):
        return [Path(given)]
    if not any(sign in given for sign in _PATTERN):
        raise UserError(f"{given}: no such file or folder; check the path")
    found = sorted(glob.glob(given, recursive=True))
    if not found:
        raise UserError(f"{given}: no file matches; check the pattern")
    return [Path(each) for each in found if not os.path.isdir(each)] or [Path(each) for each in found]


def _of_folder(folder: Path, modalities: Sequence[str], modality: str | None) -> Iterator[Item]:
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            kind = modality or ENDINGS.get(path.suffix.lower())
            if kind is not None and kind in modalities and not name.startswith("."):
                count += 1
                yield from _of_file(path, kind)
    if not count:
        known = ", ".join(ending for ending, kind in ENDINGS.items() if kind in modalities)
        hint = (
            f"files that end in {known} are; --modality takes all as one" if modality is None else "add files"
        )
        raise UserError(f"{folder}: nothing to index; {hint}")


def _modality(path: Path, modalities: Sequence[str], modality: str | None) -> str:
    found = modality or ENDINGS.get(path.suffix.lower())
    if found is None:
        raise UserError(f"{path}: its ending tells no modality; name it (--modality {'|'.join(modalities)})")
    if found not in modalities:
        raise UserError(f"{path} is {found}; the model has {', '.join(modalities)}")
    return found


def _of_file(path: Path, modality: str) -> Iterator[Item]:
    where = os.path.abspath(path)
    if modality != TEXT:
        yield Item(where, modality, where)
        return
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield Item(f"{where}:{number}", TEXT, line.strip())


def _of_table(
    path: Path,
    modalities: Sequence[str],
    modality: str | None,
    columns: Mapping[str, str] | None,
    id_column: str | None,
    root: str | None,
) -> Iterator[Item]:
    table = TableFiles([path], modalities, columns, [id_column] if id_column else (), root)
    fields = [name for name in table.fields if modality in (None, modality_of(name))]
    if not fields:
        wanted = modality or "one of " + ", ".join(modalities)
        raise UserError(
            f"{path}: no column of {wanted}; it has {', '.join(table.columns)}; name yours (--columns image=COLUMN)"
        )
    captions = [name for name in table.fields if modality_of(name) == TEXT]
    rows = table.source(list(dict.fromkeys([*fields, *captions])))
    for number in range(len(rows)):
        yield from _of_row(os.path.abspath(path), rows[number], fields)


def _of_row(table: str, row: Row, fields: Sequence[str]) -> Iterator[Item]:
    caption = "\n".join(
        str(value)
        for field, raw in row.fields.items()
        if modality_of(field) == TEXT
        for value in values_of(raw)
    )
    metadata = {name: _plain(value) for name, value in row.labels.items()}
    for field in fields:
        values = values_of(row.fields[field])
        for number, value in enumerate(values):
            part = f"{table}#{row.id}" if field == TEXT else f"{table}#{row.id}/{field}"
            part += f"/{number}" if len(values) > 1 else ""
            if isinstance(value, str) and modality_of(field) != TEXT:
                value = part = os.path.abspath(value)
            yield Item(part, modality_of(field), value, caption, metadata)


def _plain(value: object) -> MetadataValue:
    return value if isinstance(value, str | int | float | bool) else str(value)
