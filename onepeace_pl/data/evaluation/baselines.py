"""What can be reached without looking: chance, and the best answer that is always the same.

Both are read from the labels of the very rows that are measured, so every result has something to stand beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.batches import Source, told_labels
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

ENOUGH: Final = 0.5  # overlap from which a box counts as found
_BOXES: Final = 500  # boxes that are compared with each other


def blind_references(source: Source, classes: Sequence[str]) -> dict[str, Reference]:
    """Return chance and the best constant answer for each metric of a labelled source.

    Nothing is returned for a source that cannot tell its labels without making rows, or where they make no sense:
    whoever needs them says so.

    Args:
        source: The rows.
        classes: Names of the classes, where there are any.
    """
    told = told_labels(source)
    if told is None or not len(source):
        return {}
    try:
        rows = list(told)
        for label, (read, judge) in _sorts(classes).items():
            if label in rows[0]:
                if any(name not in rows[0] for name in getattr(read, "late", ())):
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
    """Return the mean over rows, of which only one is in memory: thousands of answers times many rows are much."""
    total, rows = np.zeros(1), 0
    for target in targets:
        total, rows = total + target, rows + 1
    return total / rows


def _of_boxes(targets: Iterable[NDArray[Any]], count: int) -> dict[str, Reference]:
    boxes = np.stack(list(targets))
    return box_references(boxes[:: max(1, len(boxes) // _BOXES)], boxes)


def mask_references(shares: NDArray[Any]) -> dict[str, Reference]:
    """Return what masks are compared with: a class drawn for each pixel, and the commonest everywhere.

    Args:
        shares: Of all pixels, by class (C,).
    """
    there, drawn = shares[shares > 0], 1 / len(shares)
    overlap = there * drawn / (there + drawn - there * drawn)
    return {
        "mIoU": Reference(float(overlap.mean()), float(shares.max() / len(there))),
        "mAcc": Reference(drawn, 1 / len(there)),
        "aAcc": Reference(drawn, float(shares.max())),
    }


def box_references(blind: NDArray[Any], sought: NDArray[Any]) -> dict[str, Reference]:
    """Return how well blind boxes (N, 4) do on those that are sought (M, 4): on the mean, and the best of them."""
    a, b = blind[:, None], sought[None]
    inside = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b)]
    overlap = inside / (areas[0] + areas[1] - inside)
    found = {}
    for name, hits in (("accuracy", overlap >= ENOUGH), ("iou", overlap)):
        found[name] = Reference(float(hits.mean()), float(hits.mean(1).max()))
    return found
