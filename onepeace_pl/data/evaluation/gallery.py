"""A gallery: rows of which one side is retrieved with the other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from onepeace_pl.data.evaluation.sets import EvaluationSet

Optima = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, kw_only=True)
class Gallery(EvaluationSet):
    """One retrieval evaluation. Every row holds the fields of both sides; rows of equal id belong together.

    Attributes:
        query: Modalities of the query side; several make one joint query.
        target: Modalities of the other side.
        both_directions: Also retrieve the query side with the target side.
        optimum: Direction (``image->text``) -> k -> best achievable R@k over these very rows.
        optimum_variants: Name -> the same, for instance without a factor that one side cannot know.
        groups: For each row the group it is reported in, ``seen`` or ``novel``.
        factors: For each row, factor -> value; accuracy is also printed factor by factor.
        one_per_id: Modalities of which rows with equal id hold one and the same thing.
        merge_duplicates: Count items of equal content as one. Optima have to be those of what is counted.
    """

    query: tuple[str, ...]
    target: tuple[str, ...]
    both_directions: bool = True
    optimum: Optima = field(default_factory=dict)
    optimum_variants: Mapping[str, Optima] = field(default_factory=dict)
    groups: Sequence[str] | None = None
    factors: Sequence[Mapping[str, Hashable]] = ()
    one_per_id: tuple[str, ...] = ()
    merge_duplicates: bool = True

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of both sides."""
        return (*self.query, *self.target)
