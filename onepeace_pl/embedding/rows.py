"""Items of a table's rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from onepeace_pl.data.sources.columns import column_number, media
from onepeace_pl.embedding.item import TEXT, Item, MetadataValue, printable
from onepeace_pl.embedding.tables import HUB, Table, TableRow
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import RawValue, modality_of

ID: Final = "id"
"""Column of ids where none is named."""


@dataclass(frozen=True)
class RowReader:
    """Reader of a table's rows as items.

    Attributes:
        modalities: Modalities of the model.
        chosen: Modalities that are read; empty for all.
        columns: Field to column, where they have other names.
        id_column: Column of ids; None for ``id``, or the number of the row.
        root: Folder that media paths start from; None for that of the table.
        fused: Make one item of each row.
        metadata: Read the other columns.
    """

    modalities: tuple[str, ...]
    chosen: tuple[str, ...]
    columns: Mapping[str, str]
    id_column: str | None
    root: str | None
    fused: bool
    metadata: bool

    def items(self, table: Table) -> Iterator[Item]:
        """Yield the items of a table.

        Raises:
            UserError: A column is missing, or the table cannot be read.
        """
        fields = self._fields(table)
        wanted = [field for field in fields if not self.chosen or modality_of(field) in self.chosen]
        missing = [name for name in self.chosen if name not in map(modality_of, fields)]
        if not wanted or missing:
            name = " and ".join(missing) or "one of " + ", ".join(self.modalities)
            raise UserError(
                f"{table.path}: no column of {name}; it has {', '.join(table.columns)}; name yours "
                "(--columns image=COLUMN)"
            )
        if self.fused and len(wanted) < 2:
            raise UserError(
                f"{table.path}: one column, {wanted[0]}, and --fuse; name others (--columns), or leave --fuse out"
            )
        identity = self.id_column or (ID if ID in table.columns else None)
        needed = None
        if not self.metadata:
            needed = [*dict.fromkeys([*fields.values(), *([identity] if identity else [])])]
        where = str(table.path)
        where = where if where.startswith(HUB) else printable(os.path.abspath(where))
        root = Path(self.root) if self.root is not None else _folder(table.path)
        for row in table.rows(needed):
            yield from self._of_row(where, root, row, fields, wanted, identity)

    def _fields(self, table: Table) -> dict[str, str]:
        """Return the columns of fields; rows of JSON lines may have others besides."""
        for field, column in self.columns.items():
            if modality_of(field) not in self.modalities:
                raise UserError(
                    f"column {column!r}: no modality {modality_of(field)!r}; the model has {', '.join(self.modalities)}"
                )
            column_number(table.path, table.columns, column)
        if self.id_column is not None:
            column_number(table.path, table.columns, self.id_column)
        own = [
            name
            for name in table.columns
            if modality_of(name) in self.modalities and name not in self.columns.values()
        ]
        return dict(zip(own, own, strict=True)) | dict(self.columns)

    def _of_row(
        self,
        table: str,
        root: Path,
        row: TableRow,
        fields: Mapping[str, str],
        wanted: list[str],
        identity: str | None,
    ) -> Iterator[Item]:
        name = str(row.number)
        if row.error:
            yield Item(f"{table}#{name}", {}, row=name, error=row.error)
            return
        if identity is not None and row.values.get(identity) is not None:
            name = str(row.values[identity])
        place = f"{table}#{name}"
        try:
            given = {field: _value(field, row.values.get(column), root) for field, column in fields.items()}
        except UserError as error:
            yield Item(place, {}, row=name, error=f"{place}: {error}")
            return
        caption = "\n".join(
            value for field, value in given.items() if modality_of(field) == TEXT and value is not None
        )
        used = {*fields.values(), identity}
        metadata = (
            {key: _plain(v) for key, v in row.values.items() if key not in used and v is not None}
            if self.metadata
            else {}
        )
        found = {field: given[field] for field in wanted if given[field] is not None}
        lacking = [field for field in wanted if field not in found]
        if not found or (self.fused and lacking):
            yield Item(place, {}, row=name, error=f"{place}: no {' and no '.join(lacking)}")
        elif self.fused:
            yield Item(place, found, caption, metadata, name)
        else:
            for field, value in found.items():
                key = _id(place, field, value)
                yield Item(key, {modality_of(field): value}, caption, metadata, name)


def _value(field: str, value: object, root: Path) -> RawValue | None:
    """Return the raw value of a cell: text, a path below the root, or what the processor takes; None if empty."""
    if value is None or value in ("", b""):
        return None
    if modality_of(field) == TEXT:
        if isinstance(value, str | int | float):
            return str(value)
        raise UserError(f"{field} is a {type(value).__name__}, not a text")
    if isinstance(value, dict) and value.get("bytes") is None and isinstance(value.get("path"), str):
        value = value["path"]
    if isinstance(value, str):
        made = media(value, root)
        return os.path.abspath(made) if isinstance(made, str) else made
    return value


def _id(place: str, field: str, value: RawValue) -> str:
    if field == TEXT:
        return place
    is_path = isinstance(value, str) and modality_of(field) != TEXT
    return printable(value) if is_path else f"{place}/{field}"


def _plain(value: object) -> MetadataValue:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _folder(path: Path) -> Path:
    """Return the folder that paths of a table start from."""
    return path if path.is_dir() else path.parent
