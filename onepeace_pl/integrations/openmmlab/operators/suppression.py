"""Non-maximum suppression under the names of ``mmcv._ext``."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

LINEAR, GAUSSIAN = 1, 2  # methods of soft suppression; 0 is the hard one


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the numbers of the boxes (N, 4) that no better one covers, best first.

    Args:
        boxes: Corners.
        scores: Of the boxes, (N,).
        iou_threshold: Overlap above which the worse of two boxes goes.
        offset: 1 where corners are pixels that belong to the box, 0 where they are edges.
    """
    if not len(boxes):
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    boxes = boxes.float() + torch.tensor([0, 0, offset, offset], device=boxes.device)
    return torchvision_nms(boxes, scores.float(), iou_threshold)  # type: ignore[no-any-return]


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
    """Lower the scores of boxes (N, 4) that better ones cover, and return which are left (arXiv 1704.04503).

    Args:
        boxes: Corners.
        scores: Of the boxes, (N,).
        dets: (N, 5); its first rows receive the boxes left and their new scores, best first.
        iou_threshold: Overlap from which boxes count as covered; not for ``GAUSSIAN``.
        sigma: Width of ``GAUSSIAN``.
        min_score: Boxes whose score falls below are dropped.
        method: 0 drops what is covered; ``LINEAR``; ``GAUSSIAN``.
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
