"""Several sources as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate, chain
from typing import Any

from onepeace_pl.data.batches import Row, Source, labels_of


class JoinedSource:
    """Rows of several sources one after the other, such as AudioCaps and Clotho for training.

    Ids get the number of their source in front (``1/...``), so that rows of different sources never belong
    together.

    Args:
        sources: The sources; all have the same modalities, and the same classes where they have some.

    Raises:
        ValueError: If there are none, or their modalities or classes differ.
    """

    def __init__(self, sources: list[Source]) -> None:
        if not sources:
            raise ValueError("nothing to join: name at least one source")
        self.sources = list(sources)
        self.modalities = sources[0].modalities
        self.classes: tuple[str, ...] = tuple(getattr(sources[0], "classes", ()))
        for number, source in enumerate(sources[1:], start=1):
            if set(source.modalities) != set(self.modalities):
                has, first = ", ".join(source.modalities), ", ".join(self.modalities)
                raise ValueError(f"source {number} has {has}, the first {first}; join what is alike")
            if tuple(getattr(source, "classes", ())) != self.classes:
                raise ValueError(f"source {number} has other classes than the first; give both the same list")
        self.takes_epoch = any(getattr(source, "takes_epoch", False) for source in sources)
        self._ends = list(accumulate(map(len, sources)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int | tuple[int, int]) -> Row:
        epoch, number = index if isinstance(index, tuple) else (None, index)
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        which, source, inner = self._find(number)
        takes_epoch = epoch is not None and getattr(source, "takes_epoch", False)
        row = source[(epoch, inner) if takes_epoch else inner]  # type: ignore[index]
        return Row(f"{which}/{row.id}", row.fields, row.labels)

    def labels(self) -> Iterator[Mapping[str, Any]]:
        """Yield the labels of every row."""
        return chain.from_iterable(map(labels_of, self.sources))

    def texts(self) -> Iterator[str]:
        """Yield every text, for training a tokenizer."""
        for source in self.sources:
            known = getattr(source, "texts", None)
            yield from known() if callable(known) else (source[i].fields["text"] for i in range(len(source)))

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id hold one and the same thing."""
        shared = set(self.modalities)
        for source in self.sources:
            known = getattr(source, "one_per_id", None)
            shared &= set(known()) if callable(known) else set()
        return tuple(name for name in self.modalities if name in shared)

    def ids(self) -> Iterator[str]:
        """Yield the id of every row."""
        for number, source in enumerate(self.sources):
            known = getattr(source, "ids", None)
            ids = known() if callable(known) else (source[index].id for index in range(len(source)))
            yield from (f"{number}/{identity}" for identity in ids)

    def files(self, index: int) -> list[str] | None:
        """Return the media files of a row; None where its source does not know."""
        _, source, inner = self._find(index)
        known = getattr(source, "files", None)
        return known(inner) if callable(known) else None

    def _find(self, number: int) -> tuple[int, Source, int]:
        which = bisect_right(self._ends, number)
        return which, self.sources[which], number - (self._ends[which - 1] if which else 0)
