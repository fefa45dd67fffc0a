"""The base of supervised tasks."""

from typing import Any, ClassVar

import pytest
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.source import Labels
from onepeace_pl.metrics import LabelledResult
from onepeace_pl.training.task import SupervisedTask

from .test_evaluators import batch, each


def value_of(labels: Labels) -> float:
    return float(labels["value"])


def error_of_means(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.mean() - targets.mean()).abs()


class Regression(SupervisedTask):
    set_metrics: ClassVar = {"error_of_means": error_of_means}

    def __init__(self) -> None:
        super().__init__(DataInfo(), ["image"], value_of)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        return batch.indices.float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"mae": (outputs - targets).abs()}

    def predictions(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        return [{"value": value} for value in outputs.tolist()]


def test_metrics_of_rows_and_of_whole_sets() -> None:
    evaluator = Regression().evaluator([each("a", 4)])
    for rows in ({0: 1.0, 1: 0.0}, {2: 3.0, 3: 2.0}):
        evaluator.update(None, batch(rows), 0)  # type: ignore[arg-type]
    assert evaluator.compute() == {"a/mae": 1.0, "a/error_of_means": 0.0, "mae": 1.0, "error_of_means": 0.0}


def test_the_mean_target_is_the_baseline_of_a_regression() -> None:
    evaluator = Regression().evaluator([each("a", 4)])
    evaluator.update(None, batch({0: 1.0, 1: 0.0, 2: 3.0, 3: 4.0}), 0)  # type: ignore[arg-type]
    evaluator.compute()
    references = evaluator.results["a"].references
    assert references["mae"].baseline == pytest.approx(1.5)
    assert references["error_of_means"].baseline == 0.0
    assert references["mae"].chance is None


class Ranked(Regression):
    """A regression that is judged by its error."""

    monitor = ("mae", "min")


def test_examples_of_a_regression_are_its_greatest_errors() -> None:
    evaluator = Ranked().evaluator([each("a", 40)])
    for start in (0, 20):
        evaluator.update(None, batch({row: 0.5 * row for row in range(start, start + 20)}), 0)  # type: ignore[arg-type]
    evaluator.compute()
    result = evaluator.results["a"]
    assert isinstance(result, LabelledResult)
    assert result.examples is not None
    worst = result.examples.worst
    assert [example.index for example in worst] == list(range(39, 31, -1))
    assert worst[0].prediction == {"value": 39.0}
    assert worst[0].truth == {"target": 19.5}
    assert worst[0].error == 19.5
    assert {example.right for example in worst} == {None}
    assert result.examples.wrong == ()
    assert len({example.index for example in result.examples.right}) in range(1, 5)


def test_a_function_reads_the_target() -> None:
    read = Regression().needs.target
    assert read is not None
    assert read({"value": "2"}) == pytest.approx(2.0)
