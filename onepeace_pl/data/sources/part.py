"""Folds of a source, for cross-validation or a validation split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Source, ids_of, labels_of
from onepeace_pl.data.sources.view import SourceView
from onepeace_pl.errors import UserError


class PartSource(SourceView):
    """Folds of a source for cross-validation, split by id: rows of equal id (captions of one image) stay together.

    Ids are dealt to the folds in the order in which they first occur, so that each fold is spread evenly over the
    source. Where the id names a class (`Esc50Tsv`), a fold holds whole classes. With `stratify` they are dealt class by
    class, so that folds have the same share of every class; the only id of a class is in the first fold.

    Args:
        source: The source.
        folds: Number of folds; the i-th id belongs to fold i modulo `folds`.
        take: The folds that are taken, counted from 0.
        stratify: Label whose values all folds have in equal shares, such as ``class``; None for none.

    Raises:
        UserError: If a fold does not exist, nothing is left, or rows lack the label.
    """

    def __init__(self, source: Source, folds: int, take: Sequence[int], stratify: str | None = None) -> None:
        wrong = [fold for fold in take if not 0 <= fold < folds]
        if folds < 1 or wrong or not take:
            raise UserError(f"take={list(take)} of {folds} folds: name folds from 0 to {folds - 1}")
        identities = list(ids_of(source))
        numbers = _numbers(identities, None if stratify is None else _values(source, stratify))
        dealt = [numbers[identity] % folds for identity in identities]
        rows = [index for index, fold in enumerate(dealt) if fold in take]
        if not rows:
            raise UserError(f"no row of {len(numbers)} ids is in folds {list(take)} of {folds}; take others")
        self.source, self.folds, self.take, self.stratify = source, folds, tuple(take), stratify
        super().__init__([source], [rows])

    def id_of(self, which: int, identity: str) -> str:
        """Return the source's own id."""
        return identity


def _numbers(identities: Sequence[str], groups: Iterable[object] | None) -> dict[str, int]:
    """Number the ids in the order in which they are dealt."""
    if groups is None:
        return {identity: number for number, identity in enumerate(dict.fromkeys(identities))}
    members: dict[object, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for identity, group in zip(identities, groups, strict=True):
        if identity not in seen:
            members[group].append(identity)
            seen.add(identity)
    several = [identity for group in members.values() if len(group) > 1 for identity in group]
    alone = [group[0] for group in members.values() if len(group) == 1]
    return {identity: number for number, identity in enumerate(several)} | dict.fromkeys(alone, 0)


def _values(source: Source, label: str) -> Iterator[object]:
    """Yield the value of a label of each row."""
    for number, labels in enumerate(labels_of(source)):
        if label not in labels:
            known = ", ".join(labels) or "none"
            raise UserError(f"stratify: row {number} has no label {shown(label)}; there are {known}")
        yield labels[label]
