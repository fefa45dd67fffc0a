"""Visual reasoning over two images (docs/reference/tasks.md).

Shapes: B batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.needs import ValueCount
from onepeace_pl.heads import ClassificationHead
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.classification import class_columns, classes_of_columns
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.modalities.base import ModalityInput
from onepeace_pl.results import Result, StatementResult
from onepeace_pl.training.examples import Judgement, judge_classes
from onepeace_pl.training.task import Prediction, SupervisedTask

SECOND = "second image"
VERDICTS = ("true", "false")
PAIR = ValueCount(2, 2, "give the source's image field a tuple of both images")


class VisualReasoning(SupervisedTask):
    """Classifies a statement as true or false of two images, each of which is read with it (NLVR2).

    Rows have two values of ``image``. The image adapter with ``types: 2`` (and the text adapter with ``types:
    1``) distinguishes the two images, as in the original.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata.
        pool: Modality whose tokens the head pools in each pass: ``text`` (the original's) or ``image``, which learns
            from fewer rows: a patch need only know whether the text means it.
    """

    monitor = ("accuracy", "max")
    result_type: ClassVar[type[Result]] = StatementResult

    def __init__(
        self, backbone: Backbone, data_info: DataInfo, pool: Literal["text", "image"] = "text"
    ) -> None:
        super().__init__(data_info, ["text", "image"], "truth", values={"image": PAIR})
        self.pool = pool
        self.head = ClassificationHead(backbone.config, 2, passes=2)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, 2): holds, does not hold."""
        images = batch.inputs["image"]
        self.needs.check_values(batch.counts())
        inputs = dict(batch.inputs)
        inputs["image"], inputs[SECOND] = _of_pair(images, 0), _of_pair(images, 1)
        first = ForwardPass(self.reads.modalities, stop_after=self.reads.stop_after)
        passes, _ = backbone(inputs, [first, replace(first, fields={"image": SECOND})])
        logits: Tensor = self.head(passes, self.pool)
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs.float(), targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the accuracy of each row."""
        return {"accuracy": (outputs.argmax(-1) == targets).float()}

    def row_values(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the verdict for each row, the truth, and the probability that the statement is true."""
        return class_columns(outputs, targets)

    def by_class(self, columns: Columns) -> ByClass | None:
        """Return precision, recall, F1 and confusions of true and false statements."""
        return classes_of_columns(columns, VERDICTS)

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return one minus the probability of the truth, and whether the verdict is right."""
        return judge_classes(outputs, targets)

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return whether the statement is true."""
        return [{"truth": target == 0} for target in targets.tolist()]

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the verdict and the probability that the statement is true."""
        shares = outputs.float().softmax(-1)[:, 0].tolist()
        return [{"truth": share >= 0.5, "probability": round(share, 6)} for share in shares]


def _of_pair(images: ModalityInput, number: int) -> ModalityInput:
    return replace(images, values=images.values[number::2], kind=number)
