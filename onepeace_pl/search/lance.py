"""LanceDB tables of an index, imported when the first index is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.libraries import LibraryError

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import Table

TABLE: Final = "items"
VECTOR: Final = "vector"
OWN: Final = ("id", "modality", "path", "text", "file_size", "file_modified", VECTOR)
"""Columns of every index; all others are metadata."""


@contextmanager
def importing_lancedb() -> Iterator[None]:
    """Name the extra where an import of LanceDB inside fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("lancedb", "pyarrow"):
            raise
        raise LibraryError(f"an index needs {error.name}: pip install 'onepeace-pl[search]'") from error


def create_table(folder: Path, width: int) -> Table:
    """Create the empty table of a folder, with indices of ids and of words; one that is there is replaced."""
    with importing_lancedb():
        import lancedb
        import pyarrow as pa
        from lancedb.index import FTS, BTree
    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("modality", pa.string(), nullable=False),
            pa.field("path", pa.string()),
            pa.field("text", pa.string()),
            pa.field("file_size", pa.int64()),
            pa.field("file_modified", pa.int64()),
            pa.field(VECTOR, pa.list_(pa.float32(), width)),
        ]
    )
    connection = lancedb.connect(str(folder))
    if _exists(folder):
        connection.drop_table(TABLE)
    table = connection.create_table(TABLE, schema=schema)
    table.create_index("id", config=BTree())
    table.create_index("text", config=FTS())
    return table


def open_table(folder: Path) -> Table | None:
    """Open the table of a folder; None where there is none."""
    with importing_lancedb():
        import lancedb
    if not _exists(folder):
        return None
    try:
        return lancedb.connect(str(folder)).open_table(TABLE)
    except Exception as error:  # of a damaged table, the library raises anything
        raise UserError(
            f"{folder}: damaged index ({first_line(error)}); delete the folder and index again"
        ) from error


def rows_of(table: Table, ids: list[str], columns: list[str]) -> pa.Table:
    """Return columns of the rows with these ids."""
    return table.search().where(id_filter(ids)).limit(len(ids)).select(columns).to_arrow()


def id_filter(ids: list[str]) -> str:
    """Return the SQL filter of some ids."""
    quoted = ", ".join("'" + each.replace("'", "''") + "'" for each in ids)
    return f"id IN ({quoted})"


def metadata_columns(table: Table) -> list[str]:
    """Return the names of metadata columns."""
    return [name for name in table.schema.names if name not in OWN]


def _exists(folder: Path) -> bool:
    return (folder / f"{TABLE}.lance").is_dir()
