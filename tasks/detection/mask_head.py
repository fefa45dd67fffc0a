"""Mask head of the cascade: one for all stages, optionally with mask scores (docs/reference/tasks.md).

This module imports mmdetection: import it inside a function, behind ``prepare``.

Shapes: N detections of an image, C classes, h and w the side of a mask as predicted.
"""

from __future__ import annotations

import torch
from mmdet.models.roi_heads import CascadeRoIHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.structures import InstanceData
from torch import Tensor


class OneMaskRoIHead(CascadeRoIHead):  # type: ignore[misc]
    """mmdetection's cascade with one mask head, which learns from the regions of the first stage (the original's).

    mmdetection's own trains a mask head for each stage, at three times the cost, and averages them.
    """

    num_stages: int

    def init_mask_head(self, mask_roi_extractor: object, mask_head: object) -> None:
        """Make one head and one extractor."""
        stages, self.num_stages = self.num_stages, 1
        super().init_mask_head(mask_roi_extractor, mask_head)
        self.num_stages = stages

    def mask_loss(self, stage: int, *args: object) -> dict[str, object]:
        """Return the loss in the first stage, none in others."""
        return super().mask_loss(stage, *args) if stage == 0 else {"loss_mask": {}}

    def predict_mask(self, *args: object, **options: object) -> object:
        """Predict with the one head."""
        stages, self.num_stages = self.num_stages, 1
        try:
            return super().predict_mask(*args, **options)
        finally:
            self.num_stages = stages


class ScoredMaskHead(FCNMaskHead):  # type: ignore[misc]
    """mmdetection's head with ``mask_scores``: detection score times the mean probability inside the mask."""

    def predict_by_feat(
        self, mask_preds: list[Tensor], results_list: list[InstanceData], *args: object, **options: object
    ) -> object:
        """Turn probabilities (N, C, h, w) into masks, image by image."""
        for probabilities, detections in zip(mask_preds, results_list, strict=True):
            own = probabilities[
                torch.arange(len(probabilities), device=probabilities.device), detections.labels
            ]
            detections.mask_scores = detections.scores * mask_confidence(own)
        return super().predict_by_feat(mask_preds, results_list, *args, **options)


def mask_confidence(probabilities: Tensor) -> Tensor:
    """Return the mean of probabilities (N, h, w) where they are above a half, (N,); 0 where none is."""
    inside = probabilities > 0.5
    return (probabilities * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
