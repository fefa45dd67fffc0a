"""Tables and folders opened by path: the reader follows the ending, the fields the names of the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from onepeace_pl.data.source import Source
from onepeace_pl.data.sources.folder import FolderSource
from onepeace_pl.data.sources.manifest import ManifestSource
from onepeace_pl.data.sources.merged import MergedSource
from onepeace_pl.data.sources.tables import csv_rows, no_rows, read_json_lines
from onepeace_pl.data.sources.tsv import TsvSource
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.modalities.base import modality_of

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
    ) -> None:
        self.paths = [Path(path) for path in paths]
        self.root = root
        self._headers = {path: _header(path) for path in self.paths}
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
        self._fields = own | named

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
                sources[str(path)] = self._open(path, own)
        if len(sources) == 1:
            return next(iter(sources.values()))
        return MergedSource(sources, incomplete)

    def _open(self, path: Path, columns: dict[str, str]) -> Source:
        if path.is_dir():
            return FolderSource(str(path))
        text = [field for field in columns if modality_of(field) == "text"]
        if path.suffix.lower() == ".tsv":
            return TsvSource(str(path), {**columns}, self._id_columns[path], self.root, text)
        return ManifestSource(str(path), {**columns}, self._id_columns[path], self.root, text)

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


def _header(path: Path) -> list[str]:
    """Return the columns of a table; of a folder, its modalities."""
    if path.is_dir():
        return list(FolderSource(str(path)).modalities)
    if path.suffix.lower() not in TABLES:
        raise UserError(f"{path}: a table ends in {', '.join(TABLES)}; convert it, or give a folder")
    if path.suffix.lower() == ".tsv":
        return TsvSource(str(path), {}).header
    if path.suffix.lower() == ".jsonl":
        return list(next(read_json_lines(path))[1])
    header = next(csv_rows(path), None)
    if header is None:
        raise UserError(no_rows(path))
    return header[1]
