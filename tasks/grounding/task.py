"""A phrase and a picture to a box (spec: tasks, section 9).

Shapes: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.baselines import ENOUGH
from onepeace_pl.data.labels.targets import BoxTarget, TargetReader
from onepeace_pl.heads import ClassifyHead
from onepeace_pl.modalities import Processor
from onepeace_pl.tasks.grounding.boxes import generalised_iou, iou
from onepeace_pl.training.supervised import SupervisedTask


class Grounding(SupervisedTask):
    """Finds the thing that a phrase singles out, as one box.

    Measured by the share of phrases whose box overlaps the right one by at least a half (``accuracy``: Acc@0.5),
    and by the mean overlap (``iou``).

    Args:
        backbone: The backbone.
        data_info: Facts about the data.
        pool: Whose tokens the head pools: ``image`` (RefCOCO, RefCOCO+) or ``text`` (RefCOCOg).
        distance: Weight of the distance between corners.
        overlap: Weight of the overlap.
    """

    monitor = ("accuracy", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        pool: Literal["image", "text"] = "image",
        distance: float = 1.0,
        overlap: float = 1.0,
    ) -> None:
        super().__init__(backbone, data_info)
        self.pool, self.distance, self.overlap = pool, distance, overlap
        self.head = ClassifyHead(backbone.config, 4)

    @property
    def modalities(self) -> tuple[str, ...]:
        """A phrase and a picture."""
        return ("text", "image")

    @property
    def read_target(self) -> TargetReader:
        """Read the box as shares of the picture."""
        return BoxTarget()

    def check_processors(self, processors: Mapping[str, Processor]) -> None:
        """Refuse crops and flips: boxes must fit what the model sees."""
        picture = processors["image"]
        if getattr(picture, "fit", "squash") != "squash" or getattr(picture, "train_crop", None) is not None:
            raise ValueError(
                "processors.image crops, and boxes would no longer fit; set its fit to squash and its "
                "train_crop to null"
            )
        if getattr(picture, "train_flip", 0.0):
            raise ValueError("processors.image flips, and 'left' would be right; set its train_flip to 0")

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return corners (B, 4) as shares of the picture."""
        (features,), _ = backbone(batch.inputs, [ForwardPass(self.modalities, stop_after=self.stop_after)])
        return self.head(features, self.pool).float().sigmoid()  # type: ignore[no-any-return]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Distance of corners, summed; and 1 - GIoU over the boxes whose corners are in order.

        The original's loss is no number where no box is in order; here that part is then 0.
        """
        distance = (outputs - targets).abs().sum() / len(outputs)
        in_order = ((outputs[:, 2:] > outputs[:, :2]).all(-1)).float()
        missed = 1 - generalised_iou(_ordered(outputs), targets)
        return self.distance * distance + self.overlap * (missed * in_order).sum() / in_order.sum().clamp(
            min=1
        )

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the overlap of each row, and whether it is enough."""
        found = iou(outputs.float(), targets.float())
        return {"accuracy": (found >= ENOUGH).float(), "iou": found}

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Give the box in pixels of the picture where its extent is known, else as shares of it."""
        boxes = []
        for box, labels in zip(outputs.cpu(), batch.labels, strict=True):
            extent = labels.get("extent")
            scale = torch.ones(4) if extent is None else torch.tensor([*extent, *extent], dtype=torch.float32)
            boxes.append({"box": [round(value, 4) for value in (box * scale).tolist()]})
        return boxes


def _ordered(boxes: Tensor) -> Tensor:
    """Return boxes that have an area, so that those whose corners are not in order give numbers too."""
    far = boxes[:, 2:]
    return torch.cat([boxes[:, :2], torch.where(far > boxes[:, :2], far, boxes[:, :2] + 1)], dim=1)
