"""What one evaluation reads, and what its numbers stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from onepeace_pl.data.batches import Source
from onepeace_pl.modalities.base import ModalityInput


@dataclass(frozen=True)
class Reference:
    """What a metric is compared with; None where it is not known.

    Attributes:
        chance: Of a random answer.
        baseline: Of the best answer that looks at nothing: the commonest class, the mean box.
        optimum: The best achievable one.
    """

    chance: float | None = None
    baseline: float | None = None
    optimum: float | None = None

    def share(self, value: float) -> float | None:
        """Return how far a value lies on the way from chance (0) to the optimum (1); None where either is unknown."""
        if self.chance is None or self.optimum is None or self.optimum <= self.chance:
            return None
        return (value - self.chance) / (self.optimum - self.chance)


class Prompts(NamedTuple):
    """A batch of texts that name classes.

    Attributes:
        classes: (N,) int64, class that each text names.
        texts: The texts.
    """

    classes: Tensor
    texts: ModalityInput


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Rows on which a task is measured.

    Attributes:
        name: Short, such as ``test`` or ``coco``.
        rows: The rows.
        references: Metric -> what it is compared with.
        prompts: Texts that name the classes, as many of each, in batches; where classes are told apart by words.
    """

    name: str
    rows: Source
    references: Mapping[str, Reference] = field(default_factory=dict)
    prompts: tuple[Prompts, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that are read of each row."""
        return tuple(self.rows.modalities)
