"""Outlines: one mask head for all steps of the cascade, which also says how sure it is (spec: tasks, section 14).

This module imports mmdetection: import it inside a function, behind ``prepare``.

Shapes: N finds of a picture, C classes, h and w the side of a mask as predicted.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import Tensor


class OneMaskRoIHead(CascadeRoIHead):  # type: ignore[misc]
    """mmdetection's cascade with a single mask head: it learns from the regions of the first step, as the original's.

    mmdetection's own trains a mask head for each step, at three times the cost, and averages them.
    """

    num_stages: int

    def init_mask_head(self, mask_roi_extractor: Any, mask_head: Any) -> None:
        """Make one head and one extractor."""
        stages, self.num_stages = self.num_stages, 1
        super().init_mask_head(mask_roi_extractor, mask_head)
        self.num_stages = stages

    def mask_loss(self, stage: int, *args: Any) -> dict[str, Any]:
        """Return the loss in the first step, nothing in others."""
        return super().mask_loss(stage, *args) if stage == 0 else {"loss_mask": {}}

    def predict_mask(self, *args: Any, **options: Any) -> Any:
        """Ask the one head."""
        stages, self.num_stages = self.num_stages, 1
        try:
            return super().predict_mask(*args, **options)
        finally:
            self.num_stages = stages


class SureMaskHead(FCNMaskHead):  # type: ignore[misc]
    """mmdetection's head; finds also get ``mask_scores``, theirs times the mean probability inside their outline."""

    def predict_by_feat(
        self, mask_preds: list[Tensor], results_list: list[Any], *args: Any, **options: Any
    ) -> Any:
        """Make outlines of probabilities (N, C, h, w), picture by picture."""
        for shares, found in zip(mask_preds, results_list, strict=True):
            own = shares[torch.arange(len(shares), device=shares.device), found.labels]
            found.mask_scores = found.scores * sureness(own)
        return super().predict_by_feat(mask_preds, results_list, *args, **options)


def sureness(shares: Tensor) -> Tensor:
    """Return the mean of probabilities (N, h, w) where they are above a half, (N,); 0 where none is."""
    inside = shares > 0.5
    return (shares * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
