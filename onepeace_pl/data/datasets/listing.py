"""Base class of benchmark datasets: annotations in memory, rows made on demand."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Labels, Row, Source
from onepeace_pl.data.sources.existence import ExistingFiles, paths_of
from onepeace_pl.data.sources.tables import no_rows
from onepeace_pl.errors import UserError

Record = TypeVar("Record")
Missing = Literal["keep", "skip"]


class Listing(Source, Generic[Record]):
    """Base class of datasets that read an annotation file; media are opened by processors.

    A subclass reads its files into `records`, a small tuple each, and defines `row`.

    Args:
        path: The file of annotations, for messages.
        records: One record a row.
        missing: Handling of rows with missing files: "keep" them (a run then stops at them, or
            leaves them out with `on_error: skip`), or "skip" them with a warning that counts them.

    Raises:
        UserError: If there are no rows.
    """

    shared: ClassVar[tuple[str, ...]] = ()
    """Modalities of which rows with equal id have the same value."""

    def __init__(self, path: Path, records: Sequence[Record], missing: Missing = "keep") -> None:
        self.path = path
        self.records = list(records)
        if not self.records:
            raise UserError(no_rows(path))
        if missing == "skip":
            self._keep_present()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self.row(self.records[index])

    @abstractmethod
    def row(self, record: Record) -> Row:
        """Make the row of a record."""

    def id_of(self, record: Record) -> str:
        """Return the id of the row of a record."""
        return self.row(record).id

    def ids(self) -> Iterator[str]:
        """Return the id of each row."""
        return map(self.id_of, self.records)

    def files_of(self, record: Record) -> list[str]:
        """Return the media files that the row of a record needs."""
        return paths_of(self.row(record).fields)

    def files(self, index: int) -> list[str]:
        """Return the media files of a row, whether or not they exist."""
        return self.files_of(self.records[index])

    def labels_of(self, record: Record) -> Labels:
        """Return the labels of the row of a record, as far as they are known without its media."""
        return self.row(record).labels

    def labels(self) -> Iterator[Labels]:
        """Return the labels of each row."""
        return map(self.labels_of, self.records)

    def texts(self) -> Iterator[str]:
        """Return all texts, for training a tokenizer."""
        if "text" not in self.modalities:
            return
        for record in self.records:
            text = self.row(record).fields["text"]
            yield from (text,) if isinstance(text, str) else text

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value."""
        return self.shared

    def _keep_present(self) -> None:
        there = ExistingFiles()
        kept = [record for record in self.records if all(file in there for file in self.files_of(record))]
        gone = len(self.records) - len(kept)
        if not kept:
            raise UserError(
                f"{self.path}: none of its {gone} rows has its files (the first: "
                f"{', '.join(self.files_of(self.records[0]))}); check the folder and the pattern of names"
            )
        if gone:
            warnings.warn(
                f"{self.path}: {gone} of {len(self.records)} rows lack a file and are left out", stacklevel=4
            )
        self.records = kept


def file_name(pattern: str, values: Mapping[str, object], place: str = "") -> str:
    """Fill a pattern of file names, such as ``{youtube_id}_{start_time}.wav``, with the values of a row.

    Args:
        pattern: The pattern.
        values: Values of the row by name.
        place: File and row in error messages.

    Raises:
        UserError: If it names something that rows do not have.
    """
    try:
        return pattern.format_map(values)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        where = f"{place}: " if place else ""
        raise UserError(
            f"{where}pattern {pattern!r} cannot be filled ({shown(error)}); it may name {known}"
        ) from error
