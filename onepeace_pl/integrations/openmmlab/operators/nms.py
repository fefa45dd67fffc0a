"""Non-maximum suppression (NMS, soft-NMS) with the signatures of ``mmcv._ext``."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

LINEAR, GAUSSIAN = 1, 2  # methods of soft-NMS; 0 is hard NMS


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """NMS: return the indices of kept boxes (N, 4), by descending score.

    Args:
        boxes: Corners x0, y0, x1, y1.
        scores: (N,).
        iou_threshold: IoU above which the lower-scoring box is suppressed.
        offset: 1 if corners are inclusive pixel indices, 0 if they are edges.
    """
    if not len(boxes):
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    boxes = boxes.float() + torch.tensor([0, 0, offset, offset], device=boxes.device)
    kept: Tensor = torchvision_nms(boxes, scores.float(), iou_threshold)
    return kept


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (arXiv 1704.04503): decay the scores of overlapping boxes (N, 4); return the indices of kept boxes.

    Args:
        boxes: Corners x0, y0, x1, y1.
        scores: (N,).
        dets: (N, 5); its first rows receive the kept boxes and their new scores, by descending score.
        iou_threshold: IoU from which scores decay; unused by ``GAUSSIAN``.
        sigma: Width of ``GAUSSIAN``.
        min_score: Boxes with lower scores are dropped.
        method: 0 for hard NMS, ``LINEAR``, ``GAUSSIAN``.
        offset: As in ``nms``.
    """
    boxes, scores = boxes.float(), scores.float().clone()
    areas = (boxes[:, 2:] - boxes[:, :2] + offset).prod(1)
    kept: list[int] = []
    left = torch.arange(len(boxes))
    while len(left):
        place = int(scores[left].argmax())
        best = int(left[place])
        dets[len(kept)] = torch.cat([boxes[best], scores[best, None]])
        kept.append(best)
        left = torch.cat([left[:place], left[place + 1 :]])
        low = torch.maximum(boxes[best, :2], boxes[left, :2])
        high = torch.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (high - low + offset).clamp(min=0).prod(1)
        overlap = shared / (areas[best] + areas[left] - shared)
        if method == GAUSSIAN:
            scores[left] *= torch.exp(-overlap.square() / sigma)
        else:
            factor = 1 - overlap if method == LINEAR else torch.zeros_like(overlap)
            scores[left] *= torch.where(overlap >= iou_threshold, factor, 1.0)
        left = left[scores[left] >= min_score]
    return torch.tensor(kept, dtype=torch.long)
