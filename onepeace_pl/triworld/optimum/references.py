"""What a task's numbers stand beside: chance, the best answer that looks at nothing, and the best achievable.

Everything asked of TriWorld can be answered from what the row has, so the best achievable is 1, except from sentences,
which leave things out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.evaluation.baselines import box_references, mask_references
from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.labelled import (
    AnswerScenes,
    BackgroundScenes,
    BoxScenes,
    ChoiceScenes,
    ClassesScenes,
    ClassScenes,
    ClipScenes,
    LabelledScenes,
    MaskScenes,
    ObjectScenes,
    TruthScenes,
)

_SAMPLE: Final = 2000  # training rows from which the best blind answer is learnt


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
def _(rows: MaskScenes, train: MaskScenes) -> dict[str, Reference]:
    shares = np.zeros(len(rows.classes))
    for number in range(len(rows)):
        mask = rows.mask(number)
        shares += np.bincount(mask.ravel(), minlength=len(shares)) / mask.size / len(rows)
    return {metric: replace(beside, optimum=1.0) for metric, beside in mask_references(shares).items()}


@references.register
def _(rows: ObjectScenes, train: ObjectScenes) -> dict[str, Reference]:
    # a box that was not looked for hardly ever overlaps one by half
    return {metric: Reference(0.0, 0.0, 1.0) for metric in ("box_AP", "box_AP50", "mask_AP", "mask_AP50")}


@references.register
def _(rows: ClipScenes, train: ClipScenes) -> dict[str, Reference]:
    labels = [(s.speed, s.direction) for s in rows.scenes]
    return {"accuracy": Reference(1 / len(rows.classes), _commonest(labels), 1.0)}


@references.register
def _(rows: BoxScenes, train: BoxScenes) -> dict[str, Reference]:
    beside = box_references(_boxes(train, 500), _boxes(rows, len(rows)))
    return {metric: replace(reference, optimum=1.0) for metric, reference in beside.items()}


@references.register
def _(rows: ChoiceScenes, train: ChoiceScenes) -> dict[str, Reference]:
    habits = _habits(
        (train.question(i).text, train.question(i).answer) for i in range(min(len(train), _SAMPLE))
    )
    right = []
    for i in range(len(rows)):
        asked = rows.question(i)
        choices = rows.choices(asked, i)
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
    side = rows.rendering.image_size
    return np.array(
        [regions.boxes(rows.scenes[i], side)[rows.expression(i).target] for i in range(min(most, len(rows)))],
        dtype=float,
    )
