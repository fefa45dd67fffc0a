"""Which class a row is taken for: how often rightly, and in plain values. Shapes: B rows, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def accuracies(scores: Tensor, targets: Tensor, top: int = 5) -> dict[str, Tensor]:
    """Say for each row whether the best class, and whether one of the best few, is right.

    Args:
        scores: (B, C), logits or probabilities.
        targets: (B,) int64.
        top: How many are the best few; left out where that is 1, or all classes.

    Returns:
        ``accuracy`` and ``accuracy_top5``, (B,) of 0 and 1.
    """
    columns = {"accuracy": (scores.argmax(-1) == targets).float()}
    if 1 < top < scores.shape[-1]:
        best = scores.topk(top).indices
        columns[f"accuracy_top{top}"] = (best == targets[:, None]).any(-1).float()
    return columns


def likeliest(probabilities: Tensor, classes: Sequence[str], top: int = 5) -> list[dict[str, Any]]:
    """Name the likeliest class of each row of (B, C), and the probabilities of the likeliest few."""
    best = probabilities.topk(min(top, len(classes)))
    return [
        {
            "class": classes[numbers[0]],
            "probabilities": {classes[n]: round(p, 6) for n, p in zip(numbers, shares, strict=True)},
        }
        for numbers, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
