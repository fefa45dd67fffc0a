"""Items of folders, files, patterns, tables and standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.embedding.item import TEXT, Item, printable
from onepeace_pl.embedding.rows import RowReader
from onepeace_pl.embedding.tables import HUB, TABLES, is_table, open_table
from onepeace_pl.errors import UserError
from onepeace_pl.utils.regular_files import require_regular

STANDARD_INPUT: Final = "-"
_PATTERN: Final = "*?["
_BOM: Final = b"\xef\xbb\xbf"


def find_items(
    paths: Sequence[str | Path],
    modalities: Sequence[str],
    modality: str | None = None,
    columns: Mapping[str, str] | None = None,
    id_column: str | None = None,
    root: str | None = None,
    *,
    fused: bool = False,
    split: str | None = None,
    metadata: bool = True,
) -> Iterator[Item]:
    """Return the items of sources, read as they are asked for; folders and patterns alphabetically.

    Media files have their absolute path as id. A text file has one text a line, ``file.txt:3``. Tables (CSV, TSV, JSON
    lines, Parquet, datasets of Hugging Face) have columns named as a modality: paths (also from the table's folder),
    encoded bytes, and texts with the id ``file.csv#row``; its texts are also captions of the media in their row, and
    its other columns metadata. Empty values are left out. What cannot be read (a line that is no UTF-8, a row of too
    few columns) is an item with an error.

    Args:
        paths: Files, folders, patterns such as ``photos/**/*.jpg``, tables, datasets that were saved to disk,
            ``hf://datasets/OWNER/NAME``, and ``-`` for standard input, a path or a text a line: a line that ends as
            images or sounds do is a path.
        modalities: Modalities of the model.
        modality: Take all files and lines as this modality, and of tables only its column; ``image+text`` for several
            columns.
        columns: Field of a table to its column, where they have other names.
        id_column: Column of ids of tables; by default ``id``, or the number of the row.
        root: Folder that media paths of tables start from; None takes that of each table.
        fused: Make one item of each row of a table, of several modalities.
        split: Split of a dataset of several.
        metadata: Read metadata; without, Parquet files are read faster.

    Raises:
        UserError: A path does not exist, a folder or pattern has nothing to embed, the modality of a file is unknown,
            or the model has no such modality.
        LibraryError: A library that reads a table is not installed.
    """
    chosen = () if modality is None else tuple(modality.split("+"))
    for name in chosen:
        if name not in modalities:
            raise UserError(f"no modality {name!r}; the model has {', '.join(modalities)}")
    rows = RowReader(tuple(modalities), chosen, dict(columns or {}), id_column, root, fused, metadata)
    reader = _Reader(tuple(modalities), chosen, rows, split)
    places = [place for given in paths for place in _expanded(str(given))]
    return chain.from_iterable(map(reader.items, places))


@dataclass(frozen=True)
class _Reader:
    """Reader of sources of any kind."""

    modalities: tuple[str, ...]
    chosen: tuple[str, ...]
    rows: RowReader
    split: str | None

    def items(self, place: str) -> Iterator[Item]:
        path = Path(place)
        if place == STANDARD_INPUT:
            return self._standard_input()
        if place.startswith(HUB) or is_table(path):
            return self.rows.items(open_table(place, self.split))
        return self._folder(path) if path.is_dir() else self._file(path, self._modality(path))

    def _folder(self, folder: Path) -> Iterator[Item]:
        count, errors = 0, list[OSError]()
        for place, folders, names in os.walk(folder, onerror=errors.append):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(place, name)
                kind = self._one() or ENDINGS.get(path.suffix.lower())
                if kind is not None and kind in self.modalities and not name.startswith("."):
                    count += 1
                    yield from self._file(path, kind)
            for error in errors:
                yield _unreadable(printable(os.path.abspath(error.filename)), str(error.strerror))
            count += len(errors)
            errors.clear()
        for error in errors:  # of the folder itself, or the last one
            count += 1
            yield _unreadable(printable(os.path.abspath(error.filename)), str(error.strerror))
        if not count:
            raise UserError(f"{folder}: nothing to embed; {self._hint()}")

    def _file(self, path: Path, modality: str) -> Iterator[Item]:
        where = os.path.abspath(path)
        if modality != TEXT:
            yield Item(printable(where), {modality: where})
            return
        try:
            require_regular(path)
            with path.open("rb") as file:
                for number, text in _lines(file):
                    yield _text(f"{printable(where)}:{number}", text)
        except OSError as error:
            yield _unreadable(printable(where), error.strerror or str(error))

    def _standard_input(self) -> Iterator[Item]:
        count = 0
        for number, line in _lines(sys.stdin.buffer):
            count += 1
            kind = self._one() or (line and ENDINGS.get(Path(line).suffix.lower())) or TEXT
            if line is None or kind == TEXT:
                yield _text(f"{STANDARD_INPUT}:{number}", line)
            elif kind not in self.modalities:
                yield _unreadable(line, f"is {kind}; the model has {', '.join(self.modalities)}")
            else:
                yield from self._file(Path(line), kind)
        if not count:
            raise UserError("standard input is empty; write a path or a text a line")

    def _one(self) -> str | None:
        if len(self.chosen) > 1:
            raise UserError(f"{'+'.join(self.chosen)}: a file is of one modality; only tables hold several")
        return self.chosen[0] if self.chosen else None

    def _modality(self, path: Path) -> str:
        found = self._one() or ENDINGS.get(path.suffix.lower())
        if found is None:
            choices = "|".join(self.modalities)
            raise UserError(f"{path}: its ending tells no modality; name it (--modality {choices})")
        if found not in self.modalities:
            raise UserError(f"{path} is {found}; the model has {', '.join(self.modalities)}")
        return found

    def _hint(self) -> str:
        if self.chosen:
            return "add files"
        known = ", ".join(ending for ending, kind in ENDINGS.items() if kind in self.modalities)
        return f"files that end in {known} are; --modality takes all as one; of tables ({', '.join(TABLES)}) name each"


def _expanded(given: str) -> list[str]:
    if given == STANDARD_INPUT or given.startswith(HUB) or os.path.exists(given):
        return [given]
    if not any(sign in given for sign in _PATTERN):
        raise UserError(f"{given}: no such file or folder; check the path")
    found = sorted(glob.glob(given, recursive=True))
    if not found:
        raise UserError(f"{given}: no file matches; check the pattern")
    return [each for each in found if not os.path.isdir(each)] or found


def _lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Yield number and text of each line that is not blank; None where it is no UTF-8."""
    for number, raw in enumerate(file, 1):
        line = (raw.removeprefix(_BOM) if number == 1 else raw).strip()
        try:
            text: str | None = line.decode()
        except UnicodeDecodeError:
            text = None
        if text != "":
            yield number, text


def _text(where: str, text: str | None) -> Item:
    return _unreadable(where, "not UTF-8") if text is None else Item(where, {TEXT: text})


def _unreadable(where: str, reason: str) -> Item:
    return Item(where, {}, error=f"{where}: {reason}")
