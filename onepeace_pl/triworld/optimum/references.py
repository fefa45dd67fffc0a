"""Reference scores of TriWorld's tasks: chance, the best constant baseline and the optimum.

Every question can be answered from its row, so the optimum is 1, except from captions, which omit factors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Final

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

_SAMPLE: Final = 2000  # training rows that baselines are estimated from


@singledispatch
def references(rows: LabelledScenes, train: LabelledScenes) -> dict[str, Reference]:
    """Return the reference scores of each metric.

    Args:
        rows: Evaluation rows.
        train: Training rows, from which baselines are estimated.
    """
    raise TypeError(f"no references for {type(rows).__name__}")


@references.register
def _(rows: ClassScenes, train: ClassScenes) -> dict[str, Reference]:
    kinds = [rows.scenes[i].objects[0].kind for i in range(len(rows))]
    return {"accuracy": Reference(1 / len(rows.classes), _commonest(kinds), 1.0)}


@references.register
def _(rows: ClassesScenes, train: ClassesScenes) -> dict[str, Reference]:
    counts = Counter(kind for i in range(len(rows)) for kind in rows.kinds(i))
    share = float(np.mean([count / len(rows) for count in counts.values()]))
    return {"mAP": Reference(share, share, 1.0)}


@references.register
def _(rows: BackgroundScenes, train: BackgroundScenes) -> dict[str, Reference]:
    chance = 1 / len(rows.classes)
    optimum = np.mean([1.0 if rows.is_mentioned(i) else chance for i in range(len(rows))])
    common = _commonest([rows.scenes[i].background for i in range(len(rows))])
    return {"accuracy": Reference(chance, common, float(optimum))}


@references.register
def _(rows: MaskScenes, train: MaskScenes) -> dict[str, Reference]:
    shares = np.zeros(len(rows.classes))
    for number in range(len(rows)):
        mask = rows.mask(number)
        shares += np.bincount(mask.ravel(), minlength=len(shares)) / mask.size / len(rows)
    return {metric: replace(reference, optimum=1.0) for metric, reference in mask_references(shares).items()}


@references.register
def _(rows: ObjectScenes, train: ObjectScenes) -> dict[str, Reference]:
    # a constant box hardly ever has an IoU of 0.5
    return {metric: Reference(0.0, 0.0, 1.0) for metric in ("box_AP", "box_AP50", "mask_AP", "mask_AP50")}


@references.register
def _(rows: ClipScenes, train: ClipScenes) -> dict[str, Reference]:
    labels = [(s.speed, s.direction) for s in rows.scenes]
    return {"accuracy": Reference(1 / len(rows.classes), _commonest(labels), 1.0)}


@references.register
def _(rows: BoxScenes, train: BoxScenes) -> dict[str, Reference]:
    baselines = box_references(_boxes(train, 500), _boxes(rows, len(rows)))
    return {metric: replace(reference, optimum=1.0) for metric, reference in baselines.items()}


@references.register
def _(rows: ChoiceScenes, train: ChoiceScenes) -> dict[str, Reference]:
    counts = _answer_counts(
        (train.question(i).text, train.question(i).answer) for i in range(min(len(train), _SAMPLE))
    )
    right = []
    for i in range(len(rows)):
        asked = rows.question(i)
        choices = rows.choices(asked, i)
        right.append(max(choices, key=lambda choice: counts[asked.text][choice]) == asked.answer)
    return {"accuracy": Reference(0.25, float(np.mean(right)), 1.0)}


@references.register
def _(rows: AnswerScenes, train: AnswerScenes) -> dict[str, Reference]:
    counts = _answer_counts(
        (train.question(i).text, train.question(i).answer) for i in range(min(len(train), _SAMPLE))
    )
    right = [_first(counts[q.text]) == q.answer for q in map(rows.question, range(len(rows)))]
    return {"accuracy": Reference(1 / len(rows.classes), float(np.mean(right)), 1.0)}


@references.register
def _(rows: TruthScenes, train: TruthScenes) -> dict[str, Reference]:
    counts = _answer_counts(
        (train.statement(i).text, train.statement(i).truth) for i in range(min(len(train), _SAMPLE))
    )
    right = [(_first(counts[s.text]) is not False) == s.truth for s in map(rows.statement, range(len(rows)))]
    return {"accuracy": Reference(0.5, float(np.mean(right)), 1.0)}


def _answer_counts(pairs: Iterable[tuple[str, Hashable]]) -> defaultdict[str, Counter[Hashable]]:
    """Count the answers to each text."""
    counts: defaultdict[str, Counter[Hashable]] = defaultdict(Counter)
    for text, answer in pairs:
        counts[text][answer] += 1
    return counts


def _first(counts: Counter[Hashable]) -> Hashable:
    return counts.most_common(1)[0][0] if counts else None


def _commonest(values: Sequence[Hashable]) -> float:
    return Counter(values).most_common(1)[0][1] / len(values)


def _boxes(rows: BoxScenes, most: int) -> NDArray[np.float64]:
    side = rows.rendering.image_size
    return np.array(
        [regions.boxes(rows.scenes[i], side)[rows.expression(i).target] for i in range(min(most, len(rows)))],
        dtype=float,
    )
