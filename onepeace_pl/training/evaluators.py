"""Evaluators: they take in evaluation batches and compute metrics over whole sets.

Shapes: B rows of a batch, N rows of a set.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.sets import EvaluationSet, Reference
from onepeace_pl.dense.drawing import Picture
from onepeace_pl.metrics.bootstrap import Interval, mean_interval
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.optimum import check_reference_optimum
from onepeace_pl.metrics.result import RetrievalResult
from onepeace_pl.metrics.rows import Columns, RowTable
from onepeace_pl.results.examples import Examples

GROUP = "group"  # the label by which results are also reported in groups; rows without it belong to none

RowValues = Callable[[Backbone, Batch, EvaluationSet], Mapping[str, Tensor | Sequence[object]]]
"""Values of each row of a batch of a set, by name: (B, ...), or B objects."""

Classes = Callable[[Columns], ByClass | None]
"""Results by class of the gathered values (N, ...) of all rows of a set; None where there are none."""

References = Callable[[Columns], Mapping[str, Reference]]
"""Reference values by metric, from the gathered values (N, ...) of all rows of a set."""

Summary = Callable[[Columns], dict[str, float]]
"""Metrics of the gathered values (N, ...) of many rows."""


class Evaluator(ABC):
    """One evaluation of a task; a new instance for each.

    Attributes:
        results: Full results by set, for reports; filled by :meth:`compute`.
        drawings: Drawings by set: images (H, W, 3) uint8 of some predictions; empty for most tasks.
    """

    def __init__(self) -> None:
        self.results: dict[str, LabelledResult | RetrievalResult] = {}
        self.drawings: dict[str, list[Picture]] = {}

    @abstractmethod
    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Update with a batch of the data loader with that number."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Return the metrics over all batches and processes, by name."""


class LabelledEvaluator(Evaluator):
    """Base of evaluators of labelled rows: metrics as ``SET/METRIC``, and as ``METRIC``, the mean over the sets.

    Args:
        sets: The evaluation sets, one a data loader.
    """

    def __init__(self, sets: Sequence[EvaluationSet]) -> None:
        super().__init__()
        self.sets = list(sets)

    @abstractmethod
    def result(self, loader: int) -> LabelledResult:
        """Return the result of a set, gathered over all processes."""

    def compute(self) -> dict[str, float]:
        """Return the metrics of every set, and their means over the sets.

        Raises:
            AboveOptimumError: A result is better than the best achievable one.
        """
        results = [self.result(loader) for loader in range(len(self.sets))]
        self.results = {result.name: result for result in results}
        metrics: dict[str, float] = {}
        for result in results:
            check_reference_optimum(result)
            metrics |= {f"{result.name}/{name}": value for name, value in result.scalars().items()}
        for name in {name: None for result in results for name in result.metrics}:
            values = [result.metrics[name] for result in results if name in result.metrics]
            known = [value for value in values if not math.isnan(value)]
            metrics[name] = float(np.mean(known)) if known else math.nan
        return metrics


def mean_of_rows(columns: Columns) -> dict[str, float]:
    """Return the mean of each column under its name."""
    return {name: float(np.mean(values)) for name, values in columns.items()}


class RowEvaluator(LabelledEvaluator):
    """Metrics from values of each row; groups of rows (label ``group``) are also reported by themselves.

    Rows are gathered as objects and ordered by their number in the source, so that results do not depend on batches
    or processes, and rows that a sampler repeats to even out ranks count once; torchmetrics' states do neither.

    Args:
        sets: The evaluation sets, one a data loader.
        values: Values of each row of a batch.
        summary: Metrics of the values of many rows; by default their means.
        drawings: Drawings by set, where ``values`` adds to them.
        by_class: Results by class of the values of all rows of a set.
        examples: Gathers the examples of a set, where ``values`` selects some.
        references: Reference values that the set does not know, from the values of all rows.
    """

    def __init__(
        self,
        sets: Sequence[EvaluationSet],
        values: RowValues,
        summary: Summary = mean_of_rows,
        drawings: dict[str, list[Picture]] | None = None,
        by_class: Classes | None = None,
        examples: Callable[[EvaluationSet], Examples | None] | None = None,
        references: References | None = None,
    ) -> None:
        super().__init__(sets)
        self.drawings = {} if drawings is None else drawings
        self.values, self.summary = values, summary
        self.by_class, self.examples, self.references = by_class, examples, references
        self._tables = [RowTable() for _ in sets]

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Update with a batch."""
        groups = [labels.get(GROUP) for labels in batch.labels]
        values = self.values(backbone, batch, self.sets[loader])
        self._tables[loader].add(batch.indices, {**values, GROUP: groups})

    def result(self, loader: int) -> LabelledResult:
        """Return the metrics of a set and of its groups."""
        each, columns = self.sets[loader], self._tables[loader].gather()
        rows = len(columns.pop("index"))
        groups = columns.pop(GROUP, None)
        metrics = self.summary(columns) if rows else {}
        by_class = self.by_class(columns) if rows and self.by_class is not None else None
        intervals = _intervals(columns, metrics)
        references = each.references
        if rows and self.references is not None:
            references = {**self.references(columns), **references}
        if by_class is not None:
            metrics, intervals = metrics | dict(by_class.overall), intervals | dict(by_class.intervals)
            references = {**by_class.references, **references}
        result = LabelledResult(
            each.name,
            metrics,
            rows,
            references,
            partial=rows < len(each.rows),
            intervals=intervals,
            by_class=by_class,
            examples=None if self.examples is None else self.examples(each),
        )
        names = [None if group is None else str(group) for group in (() if groups is None else groups)]
        for group in sorted({name for name in names if name is not None}):
            mine = np.array([name == group for name in names])
            own = self.summary({name: values[mine] for name, values in columns.items()})
            result.groups[group] = {name: value for name, value in own.items() if not math.isnan(value)}
            result.counts[group] = int(mine.sum())
        return result


def _intervals(columns: Columns, metrics: Mapping[str, float]) -> dict[str, Interval]:
    """Return the intervals of metrics that are shares of right rows; those of other means take too much time."""
    found = {}
    for name in metrics.keys() & columns.keys():
        values = columns[name]
        if values.ndim == 1 and ((values == 0) | (values == 1)).all():
            found[name] = mean_interval(values)
    return found
