"""Composed queries as a training objective (docs/guide/composed_queries.md).

Shapes: B samples, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, Features, ForwardPass
from onepeace_pl.backbone.fusion import normalised_sum
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.objectives import Alignment, CrossModalContrast


def check_fields(option: str, names: Iterable[str], backbone: Backbone) -> None:
    """Reject fields of a modality that the backbone lacks.

    Args:
        option: The option that names them, for the message.
        names: Fields of a row.
        backbone: The backbone.
    """
    for name in names:
        if modality_of(name) not in backbone.modalities:
            there = ", ".join(backbone.modalities)
            raise UserError(
                f"{option}: no modality {modality_of(name)!r} for {name}; the backbone has {there}"
            )


@dataclass
class ComposedQuery:
    """A composed query: the vector of one joint pass is contrasted with that of a target.

    Both are fields of a row: a modality, or a further value of it such as ``text:change``. What the target is decides
    what the joint vector learns: the caption of both parts together, or the parts themselves, whose normalised sum it
    then imitates.

    Attributes:
        query: Fields that the joint pass reads together, of different modalities.
        target: Fields of the target: the normalised sum of their own vectors, read without gradient.
        weight: Weight of the loss.
        negatives: Fields whose own vectors, of all rows, are further candidates that no query may find (hard
            negatives), such as the parts of the query; read without gradient.
    """

    query: tuple[str, ...]
    target: tuple[str, ...]
    weight: float = 1.0
    negatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.query, self.target, self.negatives = tuple(self.query), tuple(self.target), tuple(self.negatives)
        if len(self.query) < 2 or not self.target:
            raise UserError(
                f"composed: {self.name} needs two fields or more in the query, and one in the target"
            )
        ForwardPass.of(self.query)

    @property
    def name(self) -> str:
        """Name in logs, such as ``audio+text:change->text:composed``."""
        return f"{'+'.join(self.query)}->{'+'.join(self.target)}"

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of the query."""
        return tuple(map(modality_of, self.query))

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of a row that it reads."""
        return tuple(dict.fromkeys((*self.query, *self.target, *self.negatives)))

    def check(self, backbone: Backbone) -> None:
        """Reject fields of a modality that the backbone lacks."""
        check_fields("composed", self.fields, backbone)

    def passes(self, rows: int | None) -> dict[str, ForwardPass]:
        """Return the joint pass and those of the fields of target and negatives, by name."""
        single = {
            name: ForwardPass.of([name], grad=False, rows=rows) for name in (*self.target, *self.negatives)
        }
        return {self.name: ForwardPass.of(self.query, rows=rows), **single}

    def contrast(
        self, loss: CrossModalContrast, seen: Mapping[str, Features], scale: Tensor | float
    ) -> Alignment:
        """Contrast query and target.

        Args:
            loss: The contrastive loss.
            seen: Features of the passes, by name.
            scale: Logit scale.
        """
        query = normalised_sum(seen[self.name].embeddings.values())
        parts = [seen[name].embeddings[modality_of(name)][: len(query)] for name in self.target]
        others = [seen[name].embeddings[modality_of(name)].detach() for name in self.negatives]
        negatives = torch.cat(others) if others else None
        found: Alignment = loss(query, normalised_sum(parts).detach(), scale, negatives=negatives)
        return found
