"""Evaluation result of labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.metrics.bootstrap import Interval
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.results.examples import Examples


@dataclass
class LabelledResult:
    """Metrics of one evaluation set, with reference scores.

    Attributes:
        name: Name of the evaluation set.
        metrics: Values by metric.
        rows: Number of evaluated rows.
        references: Chance, baseline and optimum by metric, where known.
        groups: Values by group and metric.
        counts: Number of rows by group.
        partial: Only a part of the set was evaluated.
        intervals: 95 % bootstrap intervals over rows by metric, where they are cheap.
        by_class: Results by class; None where there are none.
        examples: Examples of predictions; None where there are none.
    """

    name: str
    metrics: dict[str, float]
    rows: int
    references: Mapping[str, Reference] = field(default_factory=dict)
    groups: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    partial: bool = False
    intervals: dict[str, Interval] = field(default_factory=dict)
    by_class: ByClass | None = None
    examples: Examples | None = None

    def scalars(self) -> dict[str, float]:
        """Return the scalars to log: ``accuracy``, ``count/accuracy`` ..."""
        scalars = dict(self.metrics)
        for group, metrics in self.groups.items():
            scalars |= {f"{group}/{name}": value for name, value in metrics.items()}
        return scalars
