"""Retrieval galleries: rows of which one side is retrieved with the other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError

Optima = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, kw_only=True)
class Gallery(EvaluationSet):
    """Evaluation set of retrieval; rows have the fields of both sides, and rows of equal id belong together.

    Attributes:
        query: Modalities of the query side; several make one composed query.
        target: Modalities of the other side.
        both_directions: Also retrieve the query side with the target side.
        optimum: Direction (``image->text``) -> k -> best achievable R@k over these very rows.
        optimum_variants: The same by name, for instance without a factor that one side cannot know.
        optimum_alone: The same by modality of a composed side, where that side has this modality only.
        groups: For each row the group it is reported in, ``seen`` or ``novel``.
        factors: Values of each row by factor; accuracy is also reported by factor.
        one_per_id: Modalities of which rows with equal id have the same value.
        merge_duplicates: Count items of equal content as one. Optima have to be those of what is counted.
    """

    query: tuple[str, ...]
    target: tuple[str, ...]
    both_directions: bool = True
    optimum: Optima = field(default_factory=dict)
    optimum_variants: Mapping[str, Optima] = field(default_factory=dict)
    optimum_alone: Mapping[str, Optima] = field(default_factory=dict)
    groups: Sequence[str] | None = None
    factors: Sequence[Mapping[str, Hashable]] = ()
    one_per_id: tuple[str, ...] = ()
    merge_duplicates: bool = True

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of both sides."""
        return (*self.query, *self.target)


def pair_galleries(name: str, source: Source, merge_duplicates: bool = True) -> list[Gallery]:
    """Return a gallery for each pair of a source's modalities, with text as the target."""
    names = sorted(source.modalities, key=lambda modality: modality == "text")
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    if not pairs:
        raise UserError(
            f"{name}: a gallery needs two modalities, its source has {', '.join(names) or 'none'}"
        )
    shared = source.one_per_id()
    return [
        Gallery(
            name=name if len(pairs) == 1 else f"{name}/{a}_{b}",
            query=(a,),
            target=(b,),
            rows=source,
            merge_duplicates=merge_duplicates,
            one_per_id=tuple(modality for modality in shared if modality in (a, b)),
        )
        for a, b in pairs
    ]
