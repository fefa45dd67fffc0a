"""Tables of any size, read row by row: CSV, TSV, JSON lines, Parquet and datasets of Hugging Face."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onepeace_pl.data.sources.tables import no_rows, parse_json
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.libraries import LibraryError
from onepeace_pl.utils.regular_files import require_regular

if TYPE_CHECKING:
    import _csv

    import pyarrow as pa

TABLES: Final = (".tsv", ".csv", ".jsonl", ".parquet")
HUB: Final = "hf://datasets/"
ROWS: Final = 256  # of a batch of Arrow
SAMPLED: Final = 1000  # rows whose keys are the columns of JSON lines
_NOT_UTF8: Final = "not UTF-8"


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        number: Its number from 0.
        values: Column to value.
        error: Why it cannot be read; empty where it can.
    """

    number: int
    values: Mapping[str, object]
    error: str = ""


class Table(ABC):
    """Base class of tables.

    Attributes:
        path: Its file or folder.
        columns: Names of the columns.
    """

    path: Path
    columns: list[str]

    @abstractmethod
    def rows(self, columns: Sequence[str] | None = None) -> Iterator[TableRow]:
        """Yield the rows.

        Args:
            columns: Columns that are needed; None for all. A table of text gives all of them in any case.

        Raises:
            UserError: The table has no rows, or is damaged.
        """


def is_table(path: Path) -> bool:
    """Return whether a path is a table, by its ending, or as a dataset that was saved to disk."""
    return _is_dataset(path) if path.is_dir() else path.suffix.lower() in TABLES


def open_table(place: str, split: str | None = None) -> Table:
    """Open a table.

    Args:
        place: A file, a folder, or ``hf://datasets/OWNER/NAME``.
        split: Split of a dataset of several.

    Raises:
        UserError: It is missing, damaged or empty, or has no such split.
        LibraryError: The library that reads it is not installed.
    """
    path = Path(place)
    if place.startswith(HUB) or path.is_dir():
        return DatasetTable(place, split)
    require_regular(path)
    kinds: dict[str, Callable[[Path], Table]]
    kinds = {".csv": CsvTable, ".tsv": TsvTable, ".jsonl": JsonLinesTable, ".parquet": ParquetTable}
    return kinds[path.suffix.lower()](path)


class CsvTable(Table):
    """CSV with a header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        csv.field_size_limit(2**31 - 1)  # an image in base64 is longer than the default
        with self._reader() as reader:
            try:
                self.columns = next(reader)
            except StopIteration:
                raise UserError(no_rows(path)) from None
            except csv.Error as error:
                raise UserError(f"{path}:1: not valid CSV ({error}); quote the value") from error
        if "\udc80" <= max("".join(self.columns), default="") <= "\udcff":
            raise UserError(f"{path}:1: {_NOT_UTF8}; convert the file")

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[TableRow]:
        """Yield the rows."""
        number = 0
        with self._reader() as reader:
            next(reader)
            while True:
                try:
                    values = next(reader)
                except StopIteration:
                    break
                except csv.Error as error:
                    values, reason = [], f"not valid CSV ({error})"
                else:
                    if not values:
                        continue
                    reason = _reason(values, self.columns)
                said = f"{self.path}:{reader.line_num}: {reason}" if reason else ""
                yield TableRow(number, dict(zip(self.columns, values, strict=False)), said)
                number += 1
        if not number:
            raise UserError(no_rows(self.path))

    @contextmanager
    def _reader(self) -> Iterator[_csv.Reader]:
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield csv.reader(file, strict=True)


class TsvTable(Table):
    """Tab-separated values with a header, without quoting; the last column may hold tabs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._lines() as lines:
            header = next(lines, "").rstrip("\r\n")
        if not header:
            raise UserError(no_rows(path))
        self.columns = header.split("\t")

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[TableRow]:
        """Yield the rows."""
        number = -1
        with self._lines() as lines:
            next(lines)
            for number, line in enumerate(lines):
                values = line.rstrip("\r\n").split("\t", len(self.columns) - 1)
                reason = _reason(values, self.columns)
                said = f"{self.path}:{number + 2}: {reason}" if reason else ""
                yield TableRow(number, dict(zip(self.columns, values, strict=False)), said)
        if number < 0:
            raise UserError(no_rows(self.path))

    @contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            yield iter(file)


class JsonLinesTable(Table):
    """JSON lines: an object a line; rows may differ in their keys, all of which the first thousand rows have."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = [row.values for row in islice(self.rows(), SAMPLED) if not row.error]
        self.columns = list(dict.fromkeys(name for values in found for name in values))
        if not self.columns:
            raise UserError(f"{path}: no JSON objects; write one object a line")

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[TableRow]:
        """Yield the rows."""
        number = 0
        with self.path.open("rb") as file:
            for line, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                row, reason = _object(raw)
                yield TableRow(number, row, f"{self.path}:{line}: {reason}" if reason else "")
                number += 1
        if not number:
            raise UserError(no_rows(self.path))


class ParquetTable(Table):
    """Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _arrow_errors(path):
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                self.columns = list(file.schema_arrow.names)
                if not file.metadata.num_rows:
                    raise UserError(no_rows(path))

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[TableRow]:
        """Yield the rows."""
        with _arrow_errors(self.path):
            import pyarrow.parquet as pq

            with pq.ParquetFile(self.path) as file:
                yield from _of_batches(
                    file.iter_batches(ROWS, columns=None if columns is None else list(columns))
                )


class DatasetTable(Table):
    """Dataset of Hugging Face: saved to disk, or streamed from the Hub.

    Args:
        place: Folder of ``save_to_disk``, or ``hf://datasets/OWNER/NAME``.
        split: Its split, where it has several.
    """

    def __init__(self, place: str, split: str | None = None) -> None:
        try:
            import datasets
        except ModuleNotFoundError as error:
            raise LibraryError(f"{place} needs datasets: pip install datasets") from error
        self.path = Path(place)
        try:
            if place.startswith(HUB):
                found = datasets.load_dataset(place.removeprefix(HUB), split=split, streaming=True)
            else:
                found = datasets.load_from_disk(place)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{place}: not to be read ({first_line(error)}); check the name, or save it again"
            ) from error
        if isinstance(found, dict):
            if split not in found:
                raise UserError(f"{place} has the splits {', '.join(found)}; name one (--split)")
            found = found[split]
        self._dataset = found
        self.columns = list(found.column_names or found.features)

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[TableRow]:
        """Yield the rows; images and sounds are not decoded."""
        chosen = self._dataset if columns is None else self._dataset.select_columns(list(columns))
        yield from _of_batches(chosen.with_format("arrow").iter(batch_size=ROWS))


def _of_batches(batches: Iterator[pa.RecordBatch | pa.Table]) -> Iterator[TableRow]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            yield TableRow(number, values)
            number += 1


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise LibraryError(f"{path} needs pyarrow: pip install 'onepeace-pl[search]'") from error
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(
            f"{path}: damaged Parquet file ({first_line(error)}); write or download it again"
        ) from error


def _is_dataset(folder: Path) -> bool:
    saved = all((folder / name).is_file() for name in ("dataset_info.json", "state.json"))
    return saved or (folder / "dataset_dict.json").is_file()


def _reason(values: Sequence[str], columns: Sequence[str]) -> str:
    """Return why a row of text cannot be used; empty where it can."""
    if len(values) != len(columns):
        return f"{len(values)} columns instead of {len(columns)}"
    try:
        "".join(values).encode()
    except UnicodeEncodeError:  # of bytes that were kept as surrogates
        return _NOT_UTF8
    return ""


def _object(raw: bytes) -> tuple[Mapping[str, object], str]:
    """Return the object of a line, and why there is none."""
    try:
        row = parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return {}, _NOT_UTF8
    except ValueError as error:
        return {}, f"not JSON ({error})"
    return (row, "") if isinstance(row, dict) else ({}, f"a {type(row).__name__}, not an object")
