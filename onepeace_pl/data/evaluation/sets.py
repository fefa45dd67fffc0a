"""Evaluation sets, and the reference values of their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onepeace_pl.data.evaluation.prompts import Prompts
from onepeace_pl.data.source import Source


@dataclass(frozen=True)
class Reference:
    """Reference values of a metric; None where one is not known.

    Attributes:
        chance: Value of random answers.
        baseline: Value of the best constant answer: the most common class, one box.
        optimum: Best achievable value.
    """

    chance: float | None = None
    baseline: float | None = None
    optimum: float | None = None

    def share(self, value: float) -> float | None:
        """Return a value on the scale from chance (0) to optimum (1); None where either is unknown."""
        if self.chance is None or self.optimum is None or self.optimum <= self.chance:
            return None
        return (value - self.chance) / (self.optimum - self.chance)


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Rows that a task is evaluated on.

    Attributes:
        name: Short, such as ``test`` or ``coco``.
        rows: The rows.
        references: Reference values by metric.
        prompts: Texts that name the classes, equally many of each, in batches; for zero-shot classification.
    """

    name: str
    rows: Source
    references: Mapping[str, Reference] = field(default_factory=dict)
    prompts: tuple[Prompts, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that are read of each row."""
        return tuple(self.rows.modalities)
