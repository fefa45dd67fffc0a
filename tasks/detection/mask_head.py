"""A mask head that also says how sure it is of each outline (spec: tasks, section 14).

This module imports mmdetection: import it inside a function, behind ``prepare``.

Shapes: N finds of a picture, C classes, h and w the side of a mask as predicted.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import Tensor


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
