"""What can be reached without looking: chance, and the best answer that is always the same.

Both are read from the labels of the very rows that are measured, so every result has something to stand beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.batches import Source
from onepeace_pl.data.evaluation_set import Reference
from onepeace_pl.data.targets import (
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
    known: Callable[[], Iterator[Mapping[str, Any]]] | None = getattr(source, "labels", None)
    if not callable(known) or not len(source):
        return {}
    try:
        rows = list(known())
        for label, (read, judge) in _sorts(classes).items():
            if label in rows[0]:
                choices = source[0].fields.get("text") if label == "answer" else None
                return judge(np.stack([read(row) for row in rows]), len(choices or classes))
    except (ValueError, TypeError, OSError):
        return {}
    return {}


_Judge = Callable[[NDArray[Any], int], dict[str, Reference]]


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


def _of_numbers(targets: NDArray[Any], count: int) -> dict[str, Reference]:
    commonest = Counter(targets.tolist()).most_common(1)[0][1]
    return {"accuracy": Reference(1 / count, commonest / len(targets))}


def _of_marks(targets: NDArray[Any], count: int) -> dict[str, Reference]:
    shares = targets.mean(0)
    share = float(shares[shares > 0].mean())
    return {"mAP": Reference(share, share)}


def _of_confidences(targets: NDArray[Any], count: int) -> dict[str, Reference]:
    return {"accuracy": Reference(float(targets.mean()), float(targets.mean(0).max()))}


def _of_boxes(targets: NDArray[Any], count: int) -> dict[str, Reference]:
    step = max(1, len(targets) // _BOXES)
    return box_references(targets[::step], targets)


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
