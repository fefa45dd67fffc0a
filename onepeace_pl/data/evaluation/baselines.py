"""Chance and best-constant baselines of labelled rows, which results are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.data.labels.targets import (
    AnswersTarget,
    BoxTarget,
    ChoiceTarget,
    ClassesTarget,
    ClassTarget,
    TargetReader,
    TruthTarget,
)
from onepeace_pl.data.source import Source

ENOUGH: Final = 0.5  # IoU from which a box counts as right
_BOXES: Final = 500  # candidate boxes of the best constant answer


def baseline_references(source: Source, classes: Sequence[str]) -> dict[str, Reference]:
    """Return chance and the best constant answer for each metric of a source.

    Empty where labels cannot be read without loading rows, or are invalid: the check before training reports that.

    Args:
        source: The rows.
        classes: Class names, where there are any.
    """
    known = source.labels()
    if known is None or not len(source):
        return {}
    try:
        rows = list(known)
        for label, (read, judge) in _sorts(classes).items():
            if label in rows[0]:
                if any(name not in rows[0] for name in read.loaded_labels):
                    step = max(1, len(rows) // _BOXES)
                    rows = [source[number].labels for number in range(0, len(rows), step)]
                choices = source[0].fields.get("text") if label == "answer" else None
                return judge(map(read, rows), len(choices or classes))
    except (ValueError, TypeError, OSError):
        return {}
    return {}


_Judge = Callable[[Iterable[NDArray[Any]], int], dict[str, Reference]]


def _sorts(classes: Sequence[str]) -> dict[str, tuple[TargetReader, _Judge]]:
    sorts: dict[str, tuple[TargetReader, _Judge]] = {
        "box": (BoxTarget(), _of_boxes),
        "answer": (ChoiceTarget(), _of_numbers),
        "truth": (TruthTarget(), lambda targets, count: _of_numbers(targets, 2)),
    }
    if classes:
        sorts["class"] = (ClassTarget(classes), _of_numbers)
        sorts["classes"] = (ClassesTarget(classes), _of_marks)
        sorts["answers"] = (AnswersTarget(classes), _of_confidences)
    return sorts


def _of_numbers(targets: Iterable[NDArray[Any]], count: int) -> dict[str, Reference]:
    counts = Counter(map(int, targets))
    return {"accuracy": Reference(1 / count, max(counts.values()) / counts.total())}


def _of_marks(targets: Iterable[NDArray[Any]], count: int) -> dict[str, Reference]:
    shares = _mean(targets)
    if not shares.any():
        return {}
    share = float(shares[shares > 0].mean())
    return {"mAP": Reference(share, share)}


def _of_confidences(targets: Iterable[NDArray[Any]], count: int) -> dict[str, Reference]:
    shares = _mean(targets)
    return {"accuracy": Reference(float(shares.mean()), float(shares.max()))}


def _mean(targets: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the mean over rows, one at a time: thousands of answers times many rows would not fit into memory."""
    total, rows = np.zeros(1), 0
    for target in targets:
        total, rows = total + target, rows + 1
    return total / rows


def _of_boxes(targets: Iterable[NDArray[Any]], count: int) -> dict[str, Reference]:
    boxes = np.stack(list(targets))
    return box_references(boxes[:: max(1, len(boxes) // _BOXES)], boxes)


def mask_references(shares: NDArray[np.floating]) -> dict[str, Reference]:
    """Return chance (a random class for each pixel) and baseline (the most common class) of mask metrics.

    Args:
        shares: Shares of all pixels, by class (C,).
    """
    there, drawn = shares[shares > 0], 1 / len(shares)
    overlap = there * drawn / (there + drawn - there * drawn)
    return {
        "mIoU": Reference(float(overlap.mean()), float(shares.max() / len(there))),
        "mAcc": Reference(drawn, 1 / len(there)),
        "aAcc": Reference(drawn, float(shares.max())),
    }


def box_references(constant: NDArray[np.floating], target: NDArray[np.floating]) -> dict[str, Reference]:
    """Return the metrics of constant boxes (N, 4) on targets (M, 4): their mean as chance, the best as baseline."""
    a, b = constant[:, None], target[None]
    inside = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b)]
    overlap = inside / (areas[0] + areas[1] - inside)
    found = {}
    for name, hits in (("accuracy", overlap >= ENOUGH), ("iou", overlap)):
        found[name] = Reference(float(hits.mean()), float(hits.mean(1).max()))
    return found
