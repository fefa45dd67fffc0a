"""Labelled tables: which column holds what, and the source that reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from onepeace_pl.data.sources import ManifestSource
from onepeace_pl.data.sources.column_names import media_column, usual_column
from onepeace_pl.data.sources.opening import ID, read_head
from onepeace_pl.data.sources.tables import read_csv, read_json_lines
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.finetuning.plan import Request
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.utils.json_files import JsonObject

ENDINGS: Final = (".csv", ".jsonl")


class LabelledTable:
    """Columns of a labelled table.

    Args:
        path: The table.
        request: Names columns that have unusual names.

    Raises:
        UserError: It is no table, or has no such column.
    """

    def __init__(self, path: Path, request: Request) -> None:
        if path.suffix.lower() not in ENDINGS:
            raise UserError(f"{path}: a table of labels ends in {' or '.join(ENDINGS)}; convert it")
        self.path, self.request = path, request
        self.head = read_head(path)
        for column in request.columns.values():
            if column not in self.head:
                raise UserError(f"{path}: no column {column!r}; {nearest(column, self.head)}")

    def column(self, name: str) -> str | None:
        """Return the column of a modality or a label; None where there is none."""
        given = self.request.columns.get(name)
        if given is not None:
            return given
        if name in self.request.model.modalities:
            return media_column(name, self.head)
        return usual_column(name, self.head)

    def require(self, name: str, *others: str) -> str:
        """Return the column of a modality or a label.

        Args:
            name: The modality or label.
            others: Further names, for the error.

        Raises:
            UserError: There is none.
        """
        found = self.column(name)
        if found is None:
            what = " or ".join((name, *others))
            raise UserError(
                f"{self.path}: no column of {what}; name yours (--columns {name}=COLUMN); the columns are "
                f"{', '.join(self.head)}"
            )
        return found

    def media(self) -> str:
        """Return the modality of the rows: the one asked for, or the first with a column, text being the last.

        Raises:
            UserError: There is none.
        """
        if self.request.modality is not None:
            self.require(self.request.modality)
            return self.request.modality
        known = self.request.model.modalities
        ordered = [*(name for name in known if name != "text"), *(["text"] if "text" in known else [])]
        found = next((name for name in ordered if self.column(name)), None)
        if found is None:
            raise UserError(
                f"{self.path}: no column of {' or '.join(ordered)}, which {self.request.model.folder} reads; name "
                f"yours (--columns {ordered[0]}=COLUMN); the columns are {', '.join(self.head)}"
            )
        return found

    def rows(self) -> Iterator[Mapping[str, object]]:
        """Yield column to value of each row."""
        read = read_csv if self.path.suffix.lower() == ".csv" else read_json_lines
        return (row for _, row in read(self.path))

    def source(self, path: Path, modalities: Sequence[str], **options: object) -> JsonObject:
        """Return class and options of the source that reads this table, or another of the same columns.

        Args:
            path: The table.
            modalities: Modalities of the rows.
            options: Further options, such as ``labels``.
        """
        columns = {name: self.require(name) for name in modalities}
        media = [name for name in modalities if name != "text"]
        text = [name for name in modalities if name == "text"]
        # rows about one file belong together: they are never split
        ids = ID if ID in self.head else columns[media[0]] if media else None
        root = self.request.root or (self._root(path, columns[media[0]]) if media else None)
        told: JsonObject = {"columns": columns, "id_column": ids, "text": text or ("text",), **options}
        classes = self.request.classes
        if path != self.path and classes is None:  # of the training rows, where others occur
            first, other = (ManifestSource(str(each), **told).classes for each in (self.path, path))
            classes = first if first != other else None
        return spec(ManifestSource, path=str(path), root=root, classes=classes, **told)

    def _root(self, path: Path, column: str) -> str | None:
        """Return the folder beside a table that its paths start from; None for the table's own."""
        value = read_head(path).get(column)
        if not isinstance(value, str) or len(value) > 1024 or (path.parent / value).exists():
            return None
        folders = sorted(each for each in path.parent.iterdir() if each.is_dir())
        return next((str(each) for each in folders if (each / value).exists()), None)
