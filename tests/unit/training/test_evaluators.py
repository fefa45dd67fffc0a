"""Metrics over the rows of sets: repeated rows, groups, several sets, and optima that cannot be exceeded."""

import math
from typing import Any

import pytest
import torch

from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.sets import EvaluationSet, Reference
from onepeace_pl.data.source import Row
from onepeace_pl.metrics import AboveOptimumError
from onepeace_pl.training.evaluators import RowEvaluator
from onepeace_pl.training.task import targets_of

from ..samples import make

MODEL = make(("text",), decoder=False)


class Rows:
    modalities = ("text",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        raise AssertionError("rows are not read")


def each(name: str, size: int, **options: Any) -> EvaluationSet:
    return EvaluationSet(name=name, rows=Rows(size), **options)


def batch(values: dict[int, float], groups: dict[int, str] | None = None) -> Batch:
    """Rows by number, each with the value of its metric."""
    rows = list(values)
    labels = [{"group": groups[row]} if groups and row in groups else {} for row in rows]
    targets = torch.tensor([values[row] for row in rows])
    return Batch([str(row) for row in rows], torch.tensor(rows), 0, {}, {}, labels=labels, targets=targets)


def evaluator(*sets: EvaluationSet) -> RowEvaluator:
    return RowEvaluator(sets, lambda model, given, each: {"accuracy": targets_of(given)})


def test_a_repeated_row_counts_once() -> None:
    made = evaluator(each("held", 4))
    made.update(MODEL, batch({0: 1.0, 1: 0.0}), 0)
    made.update(MODEL, batch({2: 1.0, 3: 1.0, 0: 1.0}), 0)
    assert made.compute() == {"held/accuracy": 0.75, "accuracy": 0.75}
    assert (made.results["held"].rows, made.results["held"].partial) == (4, False)


def test_sets_weigh_alike_and_an_empty_one_has_no_metrics() -> None:
    made = evaluator(each("small", 1), each("large", 4), each("unseen", 2))
    made.update(MODEL, batch({0: 1.0}), 0)
    made.update(MODEL, batch({0: 0.0, 1: 0.0}), 1)
    assert made.compute() == {"small/accuracy": 1.0, "large/accuracy": 0.0, "accuracy": 0.5}
    assert [result.partial for result in made.results.values()] == [False, True, True]


def test_groups_are_reported_by_themselves() -> None:
    made = evaluator(each("held", 3))
    made.update(MODEL, batch({0: 1.0, 1: 0.0, 2: 0.0}, {0: "loud", 2: "quiet"}), 0)
    metrics = made.compute()
    assert (metrics["held/loud/accuracy"], metrics["held/quiet/accuracy"]) == (1.0, 0.0)
    assert made.results["held"].counts == {"loud": 1, "quiet": 1}


def test_metrics_that_are_undefined_are_left_out_of_the_mean() -> None:
    sets = (each("empty", 1), each("full", 1))

    def summary(columns: dict[str, Any]) -> dict[str, float]:
        value = float(columns["value"].sum())
        return {"mAP": value or math.nan}

    made = RowEvaluator(sets, lambda model, given, each: {"value": targets_of(given)}, summary)
    for loader, value in enumerate((0.0, 0.5)):
        made.update(MODEL, batch({0: value}), loader)
    assert made.compute()["mAP"] == 0.5


def test_a_result_above_the_optimum_is_an_error() -> None:
    made = evaluator(each("held", 64, references={"accuracy": Reference(optimum=0.5)}))
    made.update(MODEL, batch(dict.fromkeys(range(64), 1.0)), 0)
    with pytest.raises(AboveOptimumError, match=r"accuracy = 1\.000 on 'held' is above the optimum 0\.500"):
        made.compute()
