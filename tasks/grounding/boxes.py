"""IoU and GIoU of pairs of boxes with corners x0, y0, x1, y1.

Shapes: N pairs of boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def areas(boxes: Tensor) -> Tensor:
    """(N, 4) -> (N,); a reversed box has none."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)


def intersection_and_union(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return intersection and union (N,) of the boxes of each pair."""
    inside = torch.cat(
        [torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])], dim=1
    )
    shared = areas(inside)
    return shared, areas(first) + areas(second) - shared


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Return intersection over union (N,) of each pair, 0 where both are empty."""
    shared, union = intersection_and_union(first, second)
    return shared / union.clamp(min=1e-9)


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the generalised IoU (arXiv 1902.09630) of each pair, (N,)."""
    shared, union = intersection_and_union(first, second)
    around = torch.cat(
        [torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])], dim=1
    )
    hull = areas(around)
    return shared / union - (hull - union) / hull
