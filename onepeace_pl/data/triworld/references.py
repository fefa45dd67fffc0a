"""What a task's numbers stand beside: chance, the best answer that looks at nothing, and the best achievable.

Everything asked of TriWorld can be answered from what the row has, so the best achievable is 1, except from sentences,
which leave things out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import singledispatch
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.evaluation_set import Reference
from onepeace_pl.data.triworld.labelled import (
    AnswerScenes,
    BackgroundScenes,
    BoxScenes,
    ChoiceScenes,
    ClassesScenes,
    ClassScenes,
    ClipScenes,
    LabelledScenes,
    TruthScenes,
)

_SAMPLE: Final = 2000  # training rows from which the best blind answer is learnt
_ENOUGH: Final = 0.5


@singledispatch
def references(rows: LabelledScenes, train: LabelledScenes) -> dict[str, Reference]:
    """Return what each metric of these rows is compared with.

    Args:
        rows: The rows that are measured.
        train: Rows of the same sort that blind answers are learnt from.
    """
    raise TypeError(f"no references for {type(rows).__name__}")


@references.register
def _(rows: ClassScenes, train: ClassScenes) -> dict[str, Reference]:
    kinds = [rows.scenes[i].objects[0].kind for i in range(len(rows))]
    return {"accuracy": Reference(1 / len(rows.classes), _commonest(kinds), 1.0)}


@references.register
def _(rows: ClassesScenes, train: ClassesScenes) -> dict[str, Reference]:
    there = Counter(kind for i in range(len(rows)) for kind in rows.kinds(i))
    share = float(np.mean([count / len(rows) for count in there.values()]))
    return {"mAP": Reference(share, share, 1.0)}


@references.register
def _(rows: BackgroundScenes, train: BackgroundScenes) -> dict[str, Reference]:
    chance = 1 / len(rows.classes)
    said = np.mean([1.0 if rows.says(i) else chance for i in range(len(rows))])
    common = _commonest([rows.scenes[i].background for i in range(len(rows))])
    return {"accuracy": Reference(chance, common, float(said))}


@references.register
def _(rows: ClipScenes, train: ClipScenes) -> dict[str, Reference]:
    labels = [(s.speed, s.direction) for s in rows.scenes]
    return {"accuracy": Reference(1 / len(rows.classes), _commonest(labels), 1.0)}


@references.register
def _(rows: BoxScenes, train: BoxScenes) -> dict[str, Reference]:
    boxes, blind = _boxes(rows, len(rows)), _boxes(train, 500)
    overlap = _overlaps(blind, boxes)  # every blind box with every box that is sought
    hits = overlap >= _ENOUGH
    return {
        "accuracy": Reference(float(hits.mean()), float(hits.mean(1).max()), 1.0),
        "iou": Reference(float(overlap.mean()), float(overlap.mean(1).max()), 1.0),
    }


@references.register
def _(rows: ChoiceScenes, train: ChoiceScenes) -> dict[str, Reference]:
    habits = _habits(
        (train.question(i).text, train.question(i).answer) for i in range(min(len(train), _SAMPLE))
    )
    right = []
    for i in range(len(rows)):
        asked, choices = rows.question(i), rows.choices(i)
        right.append(max(choices, key=lambda choice: habits[asked.text][choice]) == asked.answer)
    return {"accuracy": Reference(0.25, float(np.mean(right)), 1.0)}


@references.register
def _(rows: AnswerScenes, train: AnswerScenes) -> dict[str, Reference]:
    habits = _habits(
        (train.question(i).text, train.question(i).answer) for i in range(min(len(train), _SAMPLE))
    )
    right = [_first(habits[q.text]) == q.answer for q in map(rows.question, range(len(rows)))]
    return {"accuracy": Reference(1 / len(rows.classes), float(np.mean(right)), 1.0)}


@references.register
def _(rows: TruthScenes, train: TruthScenes) -> dict[str, Reference]:
    habits = _habits(
        (train.statement(i).text, train.statement(i).truth) for i in range(min(len(train), _SAMPLE))
    )
    right = [(_first(habits[s.text]) is not False) == s.truth for s in map(rows.statement, range(len(rows)))]
    return {"accuracy": Reference(0.5, float(np.mean(right)), 1.0)}


def _habits(seen: Iterable[tuple[str, Any]]) -> defaultdict[str, Counter[Any]]:
    """Count the answers to each text."""
    found: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    for text, answer in seen:
        found[text][answer] += 1
    return found


def _first(counts: Counter[Any]) -> Any:
    return counts.most_common(1)[0][0] if counts else None


def _commonest(values: Sequence[Any]) -> float:
    return Counter(values).most_common(1)[0][1] / len(values)


def _boxes(rows: BoxScenes, most: int) -> NDArray[np.float64]:
    side = rows.rendering.picture_size
    return np.array(
        [rows.scenes[i].boxes(side)[rows.expression(i).target] for i in range(min(most, len(rows)))],
        dtype=float,
    )


def _overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of every box of (N, 4) with every box of (M, 4): (N, M)."""
    a, b = first[:, None], second[None]
    inside = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b)]
    shared: NDArray[np.float64] = inside / (areas[0] + areas[1] - inside)
    return shared
