"""A user's own pairs: a CSV or JSON-lines file with one row a sample."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onepeace_pl.data.batches import Row
from onepeace_pl.data.sources.columns import check_unique, column_number, media, read_text, shared_by_id

KNOWN = ("image", "audio", "text")


class ManifestSource:
    """Rows of a ``.csv`` or ``.jsonl`` file; columns that serve no modality become labels.

    Args:
        path: The file. CSV has a header and may quote; JSON lines has one object a line.
        columns: Modality to column; None takes the columns named image, audio and text that are there.
        id_column: Column of ids; None gives each row its number.
        root: Folder that media paths start from; None takes the file's own.
        text: Modalities whose values are text; all others are paths, or pictures in base64.
        unique_ids: Refuse an id that occurs twice.

    Raises:
        ValueError: If the file is missing or of another kind, a column is not there, a row is ragged or an id
            occurs twice.
    """

    def __init__(
        self,
        path: str,
        columns: dict[str, str] | None = None,
        id_column: str | None = None,
        root: str | None = None,
        text: Sequence[str] = ("text",),
        unique_ids: bool = False,
    ) -> None:
        self.path = Path(path)
        self.root = Path(root) if root is not None else self.path.parent
        self.text = tuple(text)
        readers = {".csv": _read_csv, ".jsonl": _read_json_lines}
        if self.path.suffix.lower() not in readers:
            raise ValueError(f"{path}: a manifest ends in .csv or .jsonl; rename or convert it")
        header, self._rows = readers[self.path.suffix.lower()](self.path)
        if columns is None:
            columns = {name: name for name in KNOWN if name in header}
            if not columns:
                raise ValueError(f"{path}: no column named image, audio or text; name yours in `columns`")
        for column in [*columns.values(), *([id_column] if id_column else [])]:
            column_number(self.path, header, column)
        self.columns, self.id_column = dict(columns), id_column
        self.modalities = tuple(self.columns)
        if unique_ids and id_column:
            check_unique(
                self.path, (str(row[id_column]) for row in self._rows), 2 if path.endswith("csv") else 1
            )

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        row = self._rows[index]
        fields: dict[str, Any] = {}
        for name, column in self.columns.items():
            value = row[column]
            fields[name] = (
                value if name in self.text or not isinstance(value, str) else media(value, self.root)
            )
        used = {*self.columns.values(), self.id_column}
        labels = {name: value for name, value in row.items() if name not in used}
        return Row(str(row[self.id_column]) if self.id_column else str(index), fields, labels)

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id hold one and the same thing."""
        return shared_by_id(self)

    def texts(self) -> Iterator[str]:
        """Yield every text, for training a tokenizer; no media file is touched."""
        columns = [column for name, column in self.columns.items() if name in self.text]
        yield from (str(row[column]) for row in self._rows for column in columns)


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)  # a picture in base64 is longer than the default
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows: list[dict[str, Any]] = []
    header = next(reader, [])
    for values in _lines(reader, path):
        if len(values) != len(header):
            raise ValueError(
                f"{path}:{reader.line_num}: {len(values)} columns instead of {len(header)}; "
                "quote values that hold commas, or delete the line"
            )
        rows.append(dict(zip(header, values, strict=True)))
    return header, _not_empty(path, rows)


def _lines(reader: Any, path: Path) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: not valid CSV ({error}); quote the value") from error


def _read_json_lines(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise ValueError(
                f"{path}:{number}: a {type(row).__name__}, not an object; write one object a line"
            )
        if rows and (missing := set(rows[0]) - set(row)):
            raise ValueError(
                f"{path}:{number}: no {min(missing)!r}, which line 1 has; give every row the same keys"
            )
        rows.append(row)
    return list(_not_empty(path, rows)[0]), rows


def _not_empty(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows:
        raise ValueError(f"{path}: no rows; check that the file was written whole")
    return rows
