"""Top-k accuracy and top-k predictions of classifiers.

Shapes: B rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def accuracies(scores: Tensor, targets: Tensor, top: int = 5) -> dict[str, Tensor]:
    """Return top-1 and top-k correctness of each row.

    Args:
        scores: (B, C), logits or probabilities.
        targets: (B,) int64.
        top: k; top-k accuracy is omitted for k = 1 and for k = C.

    Returns:
        ``accuracy`` and ``accuracy_top5``: (B,), 0 or 1.
    """
    columns = {"accuracy": (scores.argmax(-1) == targets).float()}
    if 1 < top < scores.shape[-1]:
        best = scores.topk(top).indices
        columns[f"accuracy_top{top}"] = (best == targets[:, None]).any(-1).float()
    return columns


def top_predictions(
    probabilities: Tensor, classes: Sequence[str], top: int = 5
) -> list[dict[str, str | dict[str, float]]]:
    """Return the predicted class name of each row of (B, C), and the probabilities of the top k."""
    best = probabilities.topk(min(top, len(classes)))
    return [
        {
            "class": classes[numbers[0]],
            "probabilities": {classes[n]: round(p, 6) for n, p in zip(numbers, shares, strict=True)},
        }
        for numbers, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
