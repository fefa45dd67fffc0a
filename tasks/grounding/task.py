"""Visual grounding: from a phrase and an image to a box (docs/reference/tasks.md).

Shapes: B batch.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.baselines import ENOUGH
from onepeace_pl.errors import UserError
from onepeace_pl.heads import ClassificationHead
from onepeace_pl.modalities import ImageProcessor, Processor
from onepeace_pl.results import BoxResult, Result
from onepeace_pl.tasks.grounding.boxes import generalised_iou, iou
from onepeace_pl.training.examples import Judgement
from onepeace_pl.training.task import Prediction, SupervisedTask


class Grounding(SupervisedTask):
    """Predicts the box of the object that a phrase refers to.

    Measured by the share of phrases whose box has an IoU of at least 0.5 with the target (``accuracy``: Acc@0.5), and
    by the mean IoU (``iou``).

    Args:
        backbone: The backbone.
        data_info: Dataset metadata.
        pool: Modality whose tokens the head pools: ``image`` (RefCOCO, RefCOCO+) or ``text`` (RefCOCOg).
        l1_weight: Weight of the L1 distance between corners.
        giou_weight: Weight of the GIoU loss.
    """

    monitor = ("accuracy", "max")
    result_type: ClassVar[type[Result]] = BoxResult

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        pool: Literal["image", "text"] = "image",
        l1_weight: float = 1.0,
        giou_weight: float = 1.0,
    ) -> None:
        super().__init__(data_info, ["text", "image"], "box", processors={"image": keeps_places})
        self.pool, self.l1_weight, self.giou_weight = pool, l1_weight, giou_weight
        self.head = ClassificationHead(backbone.config, 4)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return corners (B, 4) as shares of the image."""
        logits: Tensor = self.head(self.encode(backbone, batch), self.pool)
        return logits.float().sigmoid()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Distance of corners, summed; and 1 - GIoU over the boxes whose corners are in order.

        The original's loss is no number where no box is in order; here that part is then 0.
        """
        distance = (outputs - targets).abs().sum() / len(outputs)
        in_order = ((outputs[:, 2:] > outputs[:, :2]).all(-1)).float()
        missed = 1 - generalised_iou(_ordered(outputs), targets)
        return self.l1_weight * distance + self.giou_weight * (
            missed * in_order
        ).sum() / in_order.sum().clamp(min=1)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return Acc@0.5 and the IoU of each row."""
        found = iou(outputs.float(), targets.float())
        return {"accuracy": (found >= ENOUGH).float(), "iou": found}

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return one minus the IoU, and whether it is at least 0.5."""
        found = iou(outputs.float(), targets.float())
        return Judgement(1 - found, found >= ENOUGH)

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return the target box in pixels of the image where its size is known."""
        return self.predictions(targets, batch)

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the box in pixels of the image where its size is known, else as shares of it."""
        boxes = []
        for box, labels in zip(outputs.cpu(), batch.labels, strict=True):
            image_size = labels.get("image_size")
            scale = (
                torch.ones(4)
                if image_size is None
                else torch.tensor([*image_size, *image_size], dtype=torch.float32)
            )
            boxes.append({"box": [round(value, 4) for value in (box * scale).tolist()]})
        return boxes


def keeps_places(processor: Processor) -> None:
    """Reject crops and flips, which move what a box is around.

    Raises:
        UserError: Names the option to be changed.
    """
    if not isinstance(processor, ImageProcessor):
        return
    if processor.fit != "squash" or processor.train_crop is not None:
        raise UserError(
            "images are cropped, and boxes would no longer fit; set its fit to squash and its train_crop to null"
        )
    if processor.train_flip:
        raise UserError("images are flipped, and 'left' would be right; set its train_flip to 0")


def _ordered(boxes: Tensor) -> Tensor:
    """Return boxes that have an area, so that those whose corners are not in order give numbers too."""
    far = boxes[:, 2:]
    return torch.cat([boxes[:, :2], torch.where(far > boxes[:, :2], far, boxes[:, :2] + 1)], dim=1)
