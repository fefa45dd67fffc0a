"""Semantic segmentation (docs/reference/tasks.md).

Shapes: B batch, C classes, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.masks import IGNORED, MaskTarget, padded_masks
from onepeace_pl.dense.drawing import Picture, draw_semantic_mask
from onepeace_pl.metrics.by_class import ByClass, ClassMetric
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.results import Result, SegmentationResult
from onepeace_pl.tasks.segmentation.inference import Inference, pixel_counts
from onepeace_pl.training.dense import DenseTask
from onepeace_pl.training.evaluators import Evaluator, RowEvaluator
from onepeace_pl.training.task import Prediction, targets_of


class Segmentation(DenseTask):
    """Classifies each pixel of an image.

    Metrics are computed over the pixels of a whole set, at the size in which its masks are stored: mean IoU (``mIoU``),
    mean accuracy of classes (``mAcc``), and accuracy of all pixels (``aAcc``).

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, which names the classes.
        neck: Makes a feature pyramid, given the encoder's config (:mod:`onepeace_pl.dense`).
        head: Makes scores from the pyramid, given its channels and the number of classes.
        inference: Tiles, scales and flips outside training.
        modality: Name of the image adapter.
    """

    monitor = ("mIoU", "max")
    result_type: ClassVar[type[Result]] = SegmentationResult

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        neck: Callable[[TransformerConfig], nn.Module],
        head: Callable[[Sequence[int], int], nn.Module],
        inference: Inference = Inference(),  # noqa: B008 - holds options only
        modality: str = "image",
    ) -> None:
        super().__init__(backbone, data_info, neck, MaskTarget(data_info.classes), modality, image_size=True)
        self.inference = inference
        self.head = head(self.neck.channels, len(data_info.classes))  # type: ignore[arg-type]

    def losses(self, backbone: Backbone, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the head's losses, and the accuracy of all pixels."""
        images = batch.inputs[self.modality].values
        masks = padded_masks(targets_of(batch), (images.shape[-2], images.shape[-1]))
        scores, losses = self.head(self.neck(backbone.encoder, images), masks)
        with torch.no_grad():
            predicted = F.interpolate(scores.detach(), masks.shape[-2:], mode="bilinear").argmax(1)
            labelled = masks != IGNORED
            accuracy = ((predicted == masks) & labelled).sum() / labelled.sum().clamp(min=1)
        return losses, {"aAcc": accuracy}

    def outputs(self, backbone: Backbone, batch: Batch) -> list[Tensor]:
        """Return the classes of all pixels of each image at its size as stored, (H, W) int64 each."""

        def score(images: Tensor) -> Tensor:
            scores, _ = self.head(self.neck(backbone.encoder, images))
            return F.interpolate(scores.float(), images.shape[-2:], mode="bilinear")

        predicted = []
        images, sizes = batch.inputs[self.modality].values, zip(*self.sizes(batch), strict=True)
        for image, ((width, height), stored) in zip(images, sizes, strict=True):
            scores = self.inference(score, image[None, :, :height, :width])
            predicted.append(F.interpolate(scores, stored[::-1], mode="bilinear")[0].argmax(0))
        return predicted

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Count the pixels of each class, and draw the first rows."""
        drawings: dict[str, list[Picture]] = {each.name: [] for each in sets}

        def values(backbone: Backbone, batch: Batch, dataset: EvaluationSet) -> dict[str, Tensor]:
            outputs = self.outputs(backbone, batch)
            self.draw_rows(dataset, drawings[dataset.name], outputs, batch)
            counts = [
                torch.stack(pixel_counts(predicted, mask.to(predicted.device), len(self.classes)))
                for predicted, mask in zip(outputs, targets_of(batch), strict=True)
            ]
            return dict(zip(("right", "predicted", "labelled"), torch.stack(counts).unbind(1), strict=True))

        return RowEvaluator(
            sets, values, pixel_metrics, drawings, lambda columns: pixels_by_class(columns, self.classes)
        )

    def draw(self, picture: Picture, prediction: Tensor) -> Picture:
        """Colour the pixels of each class."""
        return draw_semantic_mask(picture, prediction, len(self.classes))

    def predictions(self, outputs: Sequence[Tensor], batch: Batch) -> list[Prediction]:
        """Return the share of the image that each class covers, where it covers any, and the mask."""
        rows = []
        for predicted in outputs:
            shares = torch.bincount(predicted.flatten(), minlength=len(self.classes)) / predicted.numel()
            rows.append(
                {
                    "shares": {
                        c: round(s, 6) for c, s in zip(self.classes, shares.tolist(), strict=True) if s
                    },
                    "mask": predicted.to(torch.uint8).cpu().numpy(),
                }
            )
        return rows


def pixel_metrics(columns: Columns) -> dict[str, float]:
    """Return mIoU, mAcc and aAcc of pixel counts (N, C); a class without labelled or predicted pixels is left out."""
    right, predicted, labelled = (columns[name].sum(0) for name in ("right", "predicted", "labelled"))
    with np.errstate(invalid="ignore"):
        iou, recall = right / (predicted + labelled - right), right / labelled
    return {
        "mIoU": float(np.nanmean(iou)),
        "mAcc": float(np.nanmean(recall)),
        "aAcc": float(right.sum() / labelled.sum()),
    }


def pixels_by_class(columns: Columns, classes: Sequence[str]) -> ByClass:
    """Return IoU, precision and recall of each class from pixel counts (N, C)."""
    right, predicted, labelled = (columns[name].sum(0) for name in ("right", "predicted", "labelled"))
    with np.errstate(invalid="ignore"):
        metrics = {
            "precision": ClassMetric(right / predicted),
            "recall": ClassMetric(right / labelled),
            "IoU": ClassMetric(right / (predicted + labelled - right)),
        }
    return ByClass(tuple(classes), labelled.astype(np.int64), metrics, unit="pixels")
