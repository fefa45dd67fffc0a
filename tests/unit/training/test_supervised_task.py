"""The base of supervised tasks."""

from typing import Any, ClassVar

import pytest
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.source import Labels
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


def test_a_function_reads_the_target() -> None:
    read = Regression().needs.target
    assert read is not None
    assert read({"value": "2"}) == pytest.approx(2.0)
