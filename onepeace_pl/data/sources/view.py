"""Base class of sources that select or join the rows of other sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from onepeace_pl.data.batches import Row, Source, told_labels


class SourceView(ABC):
    """Rows of other sources under numbers of their own.

    Whatever the sources tell without making a row (ids, labels, files, lengths, what rows of one id share) the view
    tells of its rows; what one of them does not tell is None.

    Args:
        sources: The sources; all have the same modalities and classes.
        rows: For each source, the numbers of the rows that are taken, in ascending order.
    """

    def __init__(self, sources: Sequence[Source], rows: Sequence[Sequence[int]]) -> None:
        self._sources, self._taken = tuple(sources), tuple(rows)
        self._ends = list(accumulate(map(len, rows)))
        self.modalities = tuple(sources[0].modalities)
        self.classes: tuple[str, ...] = tuple(getattr(sources[0], "classes", ()))
        self.takes_epoch = any(map(_takes_epoch, sources))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, key: int | tuple[int, int]) -> Row:
        """Return a row by number, or by (epoch, number)."""
        epoch, number = key if isinstance(key, tuple) else (None, key)
        which, inner = self._find(number)
        source = self._sources[which]
        row = source[(epoch, inner) if epoch is not None and _takes_epoch(source) else inner]  # type: ignore[index]
        return Row(self.id_of(which, row.id), row.fields, row.labels)

    @abstractmethod
    def id_of(self, which: int, identity: str) -> str:
        """Return the id in the view of a row of that source."""

    def ids(self) -> Iterator[str]:
        """Yield the id of every row."""
        for which, source in enumerate(self._sources):
            for identity in _Picked(source_ids(source), self._taken[which]):
                yield self.id_of(which, identity)

    def labels(self) -> Iterator[Mapping[str, Any]] | None:
        """Yield the labels of every row."""
        told = list(map(told_labels, self._sources))
        if any(labels is None for labels in told):
            return None
        return chain.from_iterable(map(_Picked, told, self._taken))  # type: ignore[arg-type]

    def texts(self) -> Iterator[str]:
        """Yield every text, for training a tokenizer."""
        for source, rows in self._pairs():
            known = getattr(source, "texts", None)
            if callable(known) and len(rows) == len(source):
                yield from known()
                continue
            for index in rows:
                text = source[index].fields["text"]
                yield from (text,) if isinstance(text, str) else text

    def lengths(self) -> list[float] | None:
        """Return the length of every row."""
        known = [source_lengths(source) for source in self._sources]
        if any(lengths is None for lengths in known):
            return None
        return [lengths[i] for lengths, rows in zip(known, self._taken, strict=True) for i in rows]  # type: ignore[index]

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id hold one and the same thing."""
        shared = [one_per_id(source) for source in self._sources]
        return tuple(name for name in self.modalities if all(name in each for each in shared))

    def files(self, index: int) -> list[str] | None:
        """Return the media files of a row."""
        which, inner = self._find(index)
        known = getattr(self._sources[which], "files", None)
        return known(inner) if callable(known) else None

    def _pairs(self) -> Iterator[tuple[Source, Sequence[int]]]:
        return zip(self._sources, self._taken, strict=True)

    def _find(self, number: int) -> tuple[int, int]:
        """Return which source a row comes from, and its number there."""
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        which = bisect_right(self._ends, number)
        return which, self._taken[which][number - (self._ends[which - 1] if which else 0)]


def source_ids(source: Source) -> Iterator[str]:
    """Return the id of every row, making rows only where the source does not tell."""
    known = getattr(source, "ids", None)
    return iter(known()) if callable(known) else (source[index].id for index in range(len(source)))


def source_lengths(source: Source) -> Sequence[float] | None:
    """Return the length of every row; None where the source does not tell."""
    known = getattr(source, "lengths", None)
    return known() if callable(known) else None


def one_per_id(source: Source) -> tuple[str, ...]:
    """Return the modalities of which rows with equal id hold one and the same thing; none where that is unknown."""
    known = getattr(source, "one_per_id", None)
    return tuple(known()) if callable(known) else ()


def _takes_epoch(source: Source) -> bool:
    return bool(getattr(source, "takes_epoch", False))


class _Picked(Iterator[Any]):
    """The values of some rows out of those of all; goes on behind one that raises."""

    def __init__(self, values: Iterator[Any], rows: Sequence[int]) -> None:
        self._values, self._next = values, 0
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
