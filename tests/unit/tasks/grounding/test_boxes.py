"""Overlap of boxes, against torchvision."""

import torch
from torchvision.ops import box_iou, generalized_box_iou

from onepeace_pl.tasks.grounding.boxes import generalised_iou, iou


def boxes(seed: int) -> torch.Tensor:
    corner, size = torch.rand(2, 50, 2, generator=torch.Generator().manual_seed(seed))
    return torch.cat([corner, corner + size], dim=1)


def test_both_are_torchvisions() -> None:
    first, second = boxes(0), boxes(1)
    assert torch.allclose(iou(first, second), box_iou(first, second).diagonal(), atol=1e-6)
    assert torch.allclose(
        generalised_iou(first, second), generalized_box_iou(first, second).diagonal(), atol=1e-6
    )


def test_reversed_boxes_overlap_nothing() -> None:
    wrong = torch.tensor([[0.8, 0.2, 0.1, 0.9]])
    assert iou(wrong, torch.tensor([[0.0, 0.0, 1.0, 1.0]])).item() == 0.0
