"""A part of a source, such as four rows in five to train on and the fifth to measure on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onepeace_pl.data.batches import Row, Source, labels_of


class PartSource:
    """Every n-th rows of a source, which are so spread evenly over all that it holds.

    Args:
        source: The source.
        folds: Row i belongs to fold i modulo so many.
        take: The folds that are taken, counted from 0.

    Raises:
        ValueError: If a fold does not exist, or nothing is left.
    """

    def __init__(self, source: Source, folds: int, take: Sequence[int]) -> None:
        wrong = [fold for fold in take if not 0 <= fold < folds]
        if folds < 1 or wrong or not take:
            raise ValueError(f"take={list(take)} of {folds} folds: name folds from 0 to {folds - 1}")
        self.source, self.folds, self.take = source, folds, tuple(take)
        self._rows = [index for index in range(len(source)) if index % folds in self.take]
        if not self._rows:
            raise ValueError(f"no row of {len(source)} is in folds {list(take)} of {folds}; take others")
        self.modalities = tuple(source.modalities)
        self.classes: tuple[str, ...] = tuple(getattr(source, "classes", ()))
        self.takes_epoch = bool(getattr(source, "takes_epoch", False))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: int | tuple[int, int]) -> Row:
        """Return a row by number, or by (epoch, number)."""
        if isinstance(key, tuple):
            return self.source[key[0], self._rows[key[1]]]  # type: ignore[index]
        return self.source[self._rows[key]]

    def labels(self) -> Iterator[Mapping[str, Any]]:
        """Yield the labels of every row."""
        return (
            labels for number, labels in enumerate(labels_of(self.source)) if number % self.folds in self.take
        )

    def texts(self) -> Iterator[str]:
        """Yield every text, for training a tokenizer."""
        for number in range(len(self)):
            text = self[number].fields["text"]
            yield from (text,) if isinstance(text, str) else text
