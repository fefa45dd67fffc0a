"""Base class of sources that select or join the rows of other sources."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

from onepeace_pl.data.source import Labels, Row, Source, ids_of, texts_of, values_of


class SourceView(Source):
    """Rows selected from other sources, renumbered; metadata of the sources is passed on.

    Args:
        sources: The sources; all have the same modalities and classes.
        rows: For each source, the numbers of the rows that are taken, in ascending order.
    """

    def __init__(self, sources: Sequence[Source], rows: Sequence[Sequence[int]]) -> None:
        self._sources, self._taken = tuple(sources), tuple(rows)
        self._ends = list(accumulate(map(len, rows)))
        self.modalities = tuple(sources[0].modalities)
        self.classes = tuple(sources[0].classes)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int, /) -> Row:
        which, inner = self._find(index)
        return self._renamed(which, self._sources[which][inner])

    def training_row(self, index: int, epoch: int) -> Row:
        """Return a row of an epoch."""
        which, inner = self._find(index)
        return self._renamed(which, self._sources[which].training_row(inner, epoch))

    @abstractmethod
    def id_of(self, which: int, identity: str) -> str:
        """Return the id in the view of a row of that source."""

    def ids(self) -> Iterator[str]:
        """Return the id of each row."""
        for which, source in enumerate(self._sources):
            for identity in _Picked(ids_of(source), self._taken[which]):
                yield self.id_of(which, identity)

    def labels(self) -> Iterator[Labels] | None:
        """Return the labels of each row; None where a source does not know them."""
        known = [labels for source in self._sources if (labels := source.labels()) is not None]
        if len(known) < len(self._sources):
            return None
        return chain.from_iterable(map(_Picked, known, self._taken))

    def texts(self) -> Iterator[str]:
        """Return all texts, for training a tokenizer."""
        for source, rows in self._pairs():
            if len(rows) == len(source):
                yield from texts_of(source)
                continue
            for index in rows:
                yield from values_of(source[index].fields["text"])

    def lengths(self) -> list[float] | None:
        """Return the length of each row; None where a source does not know them."""
        known = [lengths for source in self._sources if (lengths := source.lengths()) is not None]
        if len(known) < len(self._sources):
            return None
        return [lengths[i] for lengths, rows in zip(known, self._taken, strict=True) for i in rows]

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value in every source."""
        shared = [source.one_per_id() for source in self._sources]
        return tuple(name for name in self.modalities if all(name in each for each in shared))

    def files(self, index: int) -> list[str] | None:
        """Return the media files of a row."""
        which, inner = self._find(index)
        return self._sources[which].files(inner)

    def _renamed(self, which: int, row: Row) -> Row:
        return Row(self.id_of(which, row.id), row.fields, row.labels)

    def _pairs(self) -> Iterator[tuple[Source, Sequence[int]]]:
        return zip(self._sources, self._taken, strict=True)

    def _find(self, number: int) -> tuple[int, int]:
        """Return which source a row comes from, and its number there."""
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        which = bisect_right(self._ends, number)
        return which, self._taken[which][number - (self._ends[which - 1] if which else 0)]


class _Picked(Iterator[Any]):
    """Values of selected rows out of those of all; after one that raises, it goes on with the next."""

    def __init__(self, values: Iterable[Any], rows: Sequence[int]) -> None:
        self._values, self._next = iter(values), 0
        self._rows = rows if isinstance(rows, range) else frozenset(rows)

    def __next__(self) -> Any:
        while True:
            number, self._next = self._next, self._next + 1
            try:
                value = next(self._values)
            except ValueError:
                if number in self._rows:
                    raise
                continue
            if number in self._rows:
                return value
