"""Tables and folders opened by path: the reader follows the ending, the fields the names of the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal

from onepeace_pl.data.source import Source
from onepeace_pl.data.sources.column_names import media_column
from onepeace_pl.data.sources.folder import FolderSource
from onepeace_pl.data.sources.manifest import ManifestSource
from onepeace_pl.data.sources.merged import MergedSource
from onepeace_pl.data.sources.tables import csv_rows, no_rows, read_json_lines
from onepeace_pl.data.sources.tsv import TsvSource
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.utils.json_files import JsonObject

TABLES: Final = (".tsv", ".csv", ".jsonl")
ID: Final = "id"
"""Column of ids where none is named."""


class TableFiles:
    """Tables (TSV, CSV, JSON lines) and folders of files, several of which are merged by id.

    Columns named as a modality (``image``) or as a further value of one (``image:reference``) are fields of that name.

    Args:
        paths: The files.
        modalities: Modalities that fields may be of.
        columns: Field to column, where they have other names.
        id_columns: Columns of ids, of which each file has one; none takes ``id``, without which rows of a single file
            have their number.
        root: Folder that media paths start from; None takes that of each table.
        usual: A modality without a column of its name takes one with a usual name, such as ``caption`` for text.

    Attributes:
        usual_columns: Those columns by field.

    Raises:
        UserError: A file is missing or of another format, or a column is in none.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        modalities: Sequence[str],
        columns: Mapping[str, str] | None = None,
        id_columns: Sequence[str] = (),
        root: str | None = None,
        usual: bool = False,
    ) -> None:
        self.paths = [Path(path) for path in paths]
        self.root = root
        self._heads = {path: read_head(path) for path in self.paths}
        self._headers = {path: list(head) for path, head in self._heads.items()}
        named = dict(columns or {})
        self._id_columns = {path: self._id_column(path, id_columns) for path in self.paths}
        for field, column in named.items():
            if modality_of(field) not in modalities:
                raise UserError(
                    f"column {column!r}: no modality {modality_of(field)!r}; {nearest(field, modalities)}"
                )
            self._check(column)
        own = {
            column: column
            for column in self.columns
            if modality_of(column) in modalities and column not in named.values()
        }
        self.usual_columns: dict[str, str] = {}
        for modality in modalities if usual else ():
            found = [media_column(modality, head) for head in self._heads.values()]
            column_found = next(filter(None, found), None)
            if modality not in own | named and column_found and column_found not in named.values():
                self.usual_columns[modality] = column_found
        self._fields = own | self.usual_columns | named

    @property
    def name(self) -> str:
        """Names of the files, without their endings, such as ``pictures_sounds``."""
        return "_".join(path.stem for path in self.paths)

    @property
    def columns(self) -> list[str]:
        """Columns of all files."""
        return list(dict.fromkeys(column for header in self._headers.values() for column in header))

    @property
    def fields(self) -> list[str]:
        """Fields that rows can have."""
        return list(self._fields)

    @property
    def columns_of_fields(self) -> dict[str, str]:
        """Column of each field; in a folder, its modality."""
        return dict(self._fields)

    def source(
        self,
        fields: Sequence[str],
        labels: Sequence[str] = (),
        incomplete: Literal["raise", "skip"] = "raise",
    ) -> Source:
        """Return rows with these fields; files that have none of them are not read.

        Args:
            fields: The fields.
            labels: Columns that are needed besides.
            incomplete: Handling of ids that one of several files lacks.

        Raises:
            UserError: There is no such column, or the files do not go together.
        """
        for column in (*(self._fields.get(field, field) for field in fields), *labels):
            self._check(column)
        sources: dict[str, Source] = {}
        for path in self.paths:
            header = self._headers[path]
            own = {field: self._fields[field] for field in fields if self._fields[field] in header}
            if own or any(label in header for label in labels):
                kind, options = self.reader(path, own)
                sources[str(path)] = kind(**options)
        if len(sources) == 1:
            return next(iter(sources.values()))
        return MergedSource(sources, incomplete)

    def reader(self, path: Path, columns: dict[str, str]) -> tuple[type[Source], JsonObject]:
        """Return the class that reads one of the files, and its options.

        Args:
            path: The file.
            columns: Field to column, as in :attr:`columns_of_fields`.
        """
        if path.is_dir():
            return FolderSource, {"path": str(path)}
        options: JsonObject = {"path": str(path), "columns": {**columns}}
        if (id_column := self._id_columns[path]) is not None:
            options["id_column"] = id_column
        if self.root is not None:
            options["root"] = self.root
        text = [field for field in columns if modality_of(field) == "text"]
        if text != ["text"]:
            options["text"] = text
        return TsvSource if path.suffix.lower() == ".tsv" else ManifestSource, options

    def _check(self, column: str) -> None:
        if column not in self.columns:
            hint = nearest(column, self.columns, f"there are {', '.join(self.columns)}")
            raise UserError(f"{', '.join(map(str, self.paths))}: no column {column!r}; {hint}")

    def _id_column(self, path: Path, wanted: Sequence[str]) -> str | None:
        header = self._headers[path]
        found = [name for name in wanted or [ID] if name in header]
        if found or path.is_dir():
            return found[0] if found else None
        if not wanted and len(self.paths) == 1:
            return None
        raise UserError(
            f"{path}: no column of ids named {' or '.join(wanted or [ID])}; it has {', '.join(header)}; name the one "
            "that says which rows belong together (--id-column)"
        )


def read_head(path: Path) -> dict[str, object]:
    """Return column -> value of a table's first row; of a folder, its modalities.

    Raises:
        UserError: The file is missing, empty or of another format.
    """
    if path.is_dir():
        return dict.fromkeys(FolderSource(str(path)).modalities)
    if path.suffix.lower() not in TABLES:
        raise UserError(f"{path}: a table ends in {', '.join(TABLES)}; convert it, or give a folder")
    if path.suffix.lower() == ".jsonl":
        return next(read_json_lines(path))[1]
    if path.suffix.lower() == ".tsv":
        table = TsvSource(str(path), {})
        return {**dict.fromkeys(table.header), **(table[0].labels if len(table) else {})}
    rows = csv_rows(path)
    header, first = next(rows, None), next(rows, None)
    if header is None:
        raise UserError(no_rows(path))
    values = [] if first is None else first[1]
    return dict(zip_longest(header[1], values[: len(header[1])]))
