"""Top-k accuracy, top-k predictions and results by class of classifiers.

Shapes: B rows of a batch, N rows of a set, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.rows import Columns


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


def class_columns(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return ``predicted`` and ``true`` class indices (B,), and of two classes the ``probability`` of the first.

    Args:
        logits: (B, C).
        targets: (B,) class indices, or (B, C) shares of classes, the greatest of which counts.
    """
    true = targets if targets.ndim == 1 else targets.argmax(-1)
    columns = {"predicted": logits.argmax(-1), "true": true}
    if logits.shape[-1] == 2:
        columns["probability"] = logits.float().softmax(-1)[:, 0]
    return columns


def classes_of_columns(columns: Columns, classes: Sequence[str]) -> ByClass:
    """Return the results by class of gathered :func:`class_columns`, (N,) each."""
    predicted, true = (columns[name].astype(np.int64) for name in ("predicted", "true"))
    return ByClass.of_indices(predicted, true, classes, columns.get("probability"))
