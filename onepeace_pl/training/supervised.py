"""Tasks that learn an answer for each row and are measured row by row.

Shapes: B rows of a batch, N rows of a set.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.optimum import check_share
from onepeace_pl.metrics.rows import Columns, RowTable
from onepeace_pl.training.task import Task, TaskOutput

GROUP = "topic"  # the label by which results are also reported in groups; rows without it belong to none


class MeasuredTask(Task):
    """Base of tasks that answer rows and are measured over them: says how answers are made and counted.

    Metrics come as ``SET/METRIC`` of each evaluation set, and as ``METRIC``, the mean over the sets.
    """

    @property
    @abstractmethod
    def read_target(self) -> TargetReader:
        """What reads a row's target from its labels."""

    @abstractmethod
    def outputs(self, backbone: Backbone, batch: Batch) -> Any:
        """Return what the head says of each row: (B, ...), or a list of B."""

    @abstractmethod
    def columns(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Return what is kept of each row in evaluation, (B, ...) or B words.

        A task that looks at several rows together keeps their ids and what it will compare.
        """

    def summarise(self, columns: Mapping[str, Any]) -> dict[str, float]:
        """Return the metrics over columns (N, ...): here the mean of each, under its name."""
        return {name: float(np.mean(values)) for name, values in columns.items()}

    @abstractmethod
    def answers(self, outputs: Any, batch: Batch) -> list[dict[str, Any]]:
        """Return the answer of each row in plain values, for predictions."""

    def targets(self, batch: Batch) -> Any:
        """Return the batch's targets, as the task's reader collates them.

        Raises:
            ValueError: It has none, because its data module does not know the task's reader.
        """
        if batch.targets is None:
            raise ValueError("the batch has no targets; set the data module's read_target to the task's")
        return batch.targets

    def predict(self, backbone: Backbone, batch: Batch) -> list[dict[str, Any]]:
        """Answer each row."""
        return self.answers(self.outputs(backbone, batch), batch)

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results."""
        self._sets = list(sets)
        self._tables = [RowTable() for _ in sets]

    def evaluate(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Measure one batch."""
        outputs = self.outputs(backbone, batch)
        columns = self.columns(outputs, batch)
        columns[GROUP] = [labels.get(GROUP) for labels in batch.labels]
        self._tables[loader].add(batch.indices, columns)
        self.measured(outputs, batch, loader)

    def measured(self, outputs: Any, batch: Batch, loader: int) -> None:
        """Do more with the outputs of a batch that was measured; here nothing."""

    def finish_evaluation(self) -> dict[str, float]:
        """Return the metrics of every set, and their means over the sets.

        Raises:
            AboveOptimumError: A result is better than the best achievable one.
        """
        self._results = {
            each.name: self._result(each, table.gather())
            for each, table in zip(self._sets, self._tables, strict=True)
        }
        found: dict[str, float] = {}
        for name, result in self._results.items():
            check_share(result)
            found |= {f"{name}/{metric}": value for metric, value in result.scalars().items()}
        for metric in {metric: None for result in self._results.values() for metric in result.metrics}:
            values = [r.metrics[metric] for r in self._results.values() if metric in r.metrics]
            known = [value for value in values if not math.isnan(value)]
            found[metric] = float(np.mean(known)) if known else math.nan
        return found

    @property
    def results(self) -> Mapping[str, LabelledResult]:
        """Results by set."""
        return getattr(self, "_results", {})

    def _result(self, each: EvaluationSet, columns: Columns) -> LabelledResult:
        rows = len(columns.pop("index"))
        groups = columns.pop(GROUP, None)
        result = LabelledResult(
            each.name,
            self.summarise(columns) if rows else {},
            rows,
            each.references,
            partial=rows < len(each.rows),
        )
        names = [None if group is None else str(group) for group in (() if groups is None else groups)]
        for group in sorted({name for name in names if name is not None}):
            mine = np.array([name == group for name in names])
            found = self.summarise({name: values[mine] for name, values in columns.items()})
            result.groups[group] = {name: value for name, value in found.items() if not math.isnan(value)}
            result.counts[group] = int(mine.sum())
        return result


class SupervisedTask(MeasuredTask):
    """Base of tasks with one answer a row that outputs of the head are compared with."""

    @property
    def stop_after(self) -> StopAfter:
        """Heads read tokens behind the final norms."""
        return "norm"

    @abstractmethod
    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return what the head says of each row, (B, ...)."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a mean over rows."""

    @abstractmethod
    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return columns (B, ...) from which :meth:`summarise` makes metrics."""

    def columns(self, outputs: Tensor, batch: Batch) -> dict[str, Any]:
        """Return what :meth:`measure` says."""
        return dict(self.measure(outputs, self.targets(batch)))

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the loss, and how well the batch is answered."""
        outputs, targets = self.outputs(backbone, batch), self.targets(batch)
        loss = self.loss(outputs, targets)
        columns = self.measure(outputs.detach(), targets)
        return TaskOutput(
            loss, {name: values.mean() for name, values in columns.items() if values.dim() == 1}
        )
