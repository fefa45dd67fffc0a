"""Evaluator of detections: COCO's average precision over whole sets."""

from __future__ import annotations

from collections.abc import Sequence

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.tasks.detection.average_precision import AveragePrecision
from onepeace_pl.training.dense import DenseTask
from onepeace_pl.training.evaluators import LabelledEvaluator
from onepeace_pl.training.task import targets_of


class DetectionEvaluator(LabelledEvaluator):
    """Average precision of boxes, and of masks, with drawings of the first rows.

    Args:
        task: Detects, and draws.
        sets: The evaluation sets, one a data loader.
        masks: Whether masks are evaluated, too.
    """

    def __init__(self, task: DenseTask, sets: Sequence[EvaluationSet], masks: bool) -> None:
        super().__init__(sets)
        self.task = task
        self.drawings = {each.name: [] for each in sets}
        self._precisions = [AveragePrecision(len(task.classes), masks) for _ in sets]

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Take in the detections and the objects of a batch."""
        detections, each = self.task.outputs(backbone, batch), self.sets[loader]
        _, stored = self.task.sizes(batch)
        for row in zip(batch.indices.tolist(), stored, detections, targets_of(batch), strict=True):
            self._precisions[loader].update(*row)
        self.task.draw_rows(each, self.drawings[each.name], detections, batch)

    def result(self, loader: int) -> LabelledResult:
        """Return the average precisions of a set."""
        each = self.sets[loader]
        metrics, rows = self._precisions[loader].compute()
        known = {name: value for name, value in metrics.items() if value >= 0}  # -1: no object of that size
        return LabelledResult(
            each.name,
            known,
            rows,
            each.references,
            partial=rows < len(each.rows),
            by_class=self._precisions[loader].by_class(self.task.classes),
        )
