"""A class for each pixel (spec: tasks, section 13).

Shapes: B batch, C classes, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.masks import IGNORED, MaskTarget, padded_masks
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.dense.drawing import Picture, drawn_mask
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.tasks.segmentation.inference import Inference, counts
from onepeace_pl.training.dense import DenseTask


class Segmentation(DenseTask):
    """Tells which class each pixel of a picture is of.

    Metrics are counted over the pixels of a whole set, at the size in which its masks are stored: mean overlap
    (``mIoU``), mean share of each class's pixels that are found (``mAcc``), and share of all pixels (``aAcc``).

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are told apart.
        neck: Makes a pyramid of maps, given the encoder's config (:mod:`onepeace_pl.dense`).
        head: Makes scores of maps, given their channels and the number of classes.
        inference: How pictures are looked at outside training.
        modality: Name of the picture adapter.
    """

    monitor = ("mIoU", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        neck: Callable[[TransformerConfig], nn.Module],
        head: Callable[[Sequence[int], int], nn.Module],
        inference: Inference = Inference(),  # noqa: B008 - holds options only
        modality: str = "image",
    ) -> None:
        super().__init__(backbone, data_info, neck, modality)
        self.inference = inference
        self._read = MaskTarget(data_info.classes)
        self.head = head(self.neck.channels, len(data_info.classes))  # type: ignore[arg-type]

    @property
    def read_target(self) -> TargetReader:
        """Read the mask of a row."""
        return self._read

    def prepare(self, data: Any) -> None:
        """Refuse data that does not say how large its pictures are."""
        super().prepare(data)
        if getattr(data, "transform", None) is None:
            raise ValueError(
                f"{type(data).__name__} has no transform, so that nobody knows how large its pictures were before they "
                "were padded; give it onepeace_pl.data.labels.transforms.JointTransform, empty if need be"
            )

    def losses(self, backbone: Backbone, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the head's losses, and how many pixels are right."""
        pictures = batch.inputs[self.modality].values
        masks = padded_masks(self.targets(batch), (pictures.shape[-2], pictures.shape[-1]))
        scores, losses = self.head(self.neck(backbone.encoder, pictures), masks)
        with torch.no_grad():
            found = F.interpolate(scores.detach(), masks.shape[-2:], mode="bilinear").argmax(1)
            measured = masks != IGNORED
            right = ((found == masks) & measured).sum() / measured.sum().clamp(min=1)
        return losses, {"aAcc": right}

    def outputs(self, backbone: Backbone, batch: Batch) -> Any:
        """Return the classes of all pixels of each picture at its size as stored, (H, W) int64 each."""

        def score(pictures: Tensor) -> Tensor:
            scores, _ = self.head(self.neck(backbone.encoder, pictures))
            return F.interpolate(scores.float(), pictures.shape[-2:], mode="bilinear")

        found = []
        pictures, sizes = batch.inputs[self.modality].values, zip(*self.sizes(batch), strict=True)
        for picture, ((width, height), stored) in zip(pictures, sizes, strict=True):
            scores = self.inference(score, picture[None, :, :height, :width])
            found.append(F.interpolate(scores, stored[::-1], mode="bilinear")[0].argmax(0))
        return found

    def columns(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Count the pixels of each class."""
        each = [
            torch.stack(counts(found, mask.to(found.device), len(self.classes)))
            for found, mask in zip(outputs, self.targets(batch), strict=True)
        ]
        return dict(zip(("right", "found", "labelled"), torch.stack(each).unbind(1), strict=True))

    def summarise(self, columns: Mapping[str, Any]) -> dict[str, float]:
        """Return the metrics; a class that is neither labelled nor found counts in no mean."""
        right, found, labelled = (columns[name].sum(0) for name in ("right", "found", "labelled"))
        with np.errstate(invalid="ignore"):
            overlap, recall = right / (found + labelled - right), right / labelled
        return {
            "mIoU": float(np.nanmean(overlap)),
            "mAcc": float(np.nanmean(recall)),
            "aAcc": float(right.sum() / labelled.sum()),
        }

    def draw(self, picture: Picture, found: Any) -> Picture:
        """Colour the pixels of each class."""
        return drawn_mask(picture, found, len(self.classes))

    def answers(self, outputs: Any, batch: Batch) -> list[dict[str, Any]]:
        """Give the share of the picture that each class has, where it has any."""
        said = []
        for found in outputs:
            shares = torch.bincount(found.flatten(), minlength=len(self.classes)) / found.numel()
            said.append(
                {"shares": {c: round(s, 6) for c, s in zip(self.classes, shares.tolist(), strict=True) if s}}
            )
        return said
