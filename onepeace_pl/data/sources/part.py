"""Folds of a source, for cross-validation or a validation split."""

from __future__ import annotations

from collections.abc import Sequence

from onepeace_pl.data.source import Source, ids_of
from onepeace_pl.data.sources.view import SourceView
from onepeace_pl.errors import UserError


class PartSource(SourceView):
    """Folds of a source for cross-validation, split by id: rows of equal id (captions of one image) stay together.

    Ids are dealt to the folds in the order in which they first occur, so that each fold is spread evenly over the
    source. Where the id names a class (`Esc50Tsv`), a fold holds whole classes.

    Args:
        source: The source.
        folds: Number of folds; the i-th id belongs to fold i modulo `folds`.
        take: The folds that are taken, counted from 0.

    Raises:
        UserError: If a fold does not exist, or nothing is left.
    """

    def __init__(self, source: Source, folds: int, take: Sequence[int]) -> None:
        wrong = [fold for fold in take if not 0 <= fold < folds]
        if folds < 1 or wrong or not take:
            raise UserError(f"take={list(take)} of {folds} folds: name folds from 0 to {folds - 1}")
        numbers: dict[str, int] = {}
        dealt = [numbers.setdefault(identity, len(numbers)) % folds for identity in ids_of(source)]
        rows = [index for index, fold in enumerate(dealt) if fold in take]
        if not rows:
            raise UserError(f"no row of {len(numbers)} ids is in folds {list(take)} of {folds}; take others")
        self.source, self.folds, self.take = source, folds, tuple(take)
        super().__init__([source], [rows])

    def id_of(self, which: int, identity: str) -> str:
        """Return the source's own id."""
        return identity
