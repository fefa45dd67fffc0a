"""What an evaluation of labelled rows found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onepeace_pl.data.evaluation.sets import Reference


@dataclass
class LabelledResult:
    """Metrics of one set, and what they stand beside.

    Attributes:
        name: Name of the set.
        metrics: Metric -> value.
        rows: Number of rows that were measured.
        references: Metric -> chance, baseline and optimum, as far as they are known.
        groups: Group of rows -> metric -> value.
        counts: Group of rows -> number of them.
        partial: Only a part of the set was measured, so the numbers say little.
    """

    name: str
    metrics: dict[str, float]
    rows: int
    references: Mapping[str, Reference] = field(default_factory=dict)
    groups: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    partial: bool = False

    def scalars(self) -> dict[str, float]:
        """Return the numbers to log: ``accuracy``, ``count/accuracy`` ..."""
        found = dict(self.metrics)
        for group, metrics in self.groups.items():
            found |= {f"{group}/{name}": value for name, value in metrics.items()}
        return found
