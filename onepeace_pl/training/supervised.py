"""Base of tasks with one answer a row: subclasses give outputs, loss, metrics and predictions.

Shapes: B rows of a batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor

from onepeace_pl.backbone import Backbone, Features, ForwardPass
from onepeace_pl.backbone.encoder import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import TargetReader, target_reader
from onepeace_pl.data.needs import Needs, ProcessorCheck, ValueCount
from onepeace_pl.training.evaluators import Evaluator, RowEvaluator
from onepeace_pl.training.task import Prediction, Reads, Task, TaskOutput, targets_of


class SupervisedTask(Task):
    """Base of tasks that compare the output for each row with a target.

    Args:
        data_info: Dataset metadata.
        modalities: Modalities that the task reads.
        target: Name of the label to be predicted, such as ``class`` or ``box``, or a picklable function that reads the
            target from a row's labels.
        stop_after: Last part of the encoder that the head reads from: ``blocks``, ``norm`` or ``projection``.
        values: Modality -> number of values a row, where it is not one.
        processors: Modality -> check of its processor.

    Attributes:
        classes: Names of the classes, in the order of their numbers.
    """

    def __init__(
        self,
        data_info: DataInfo,
        modalities: Sequence[str],
        target: str | TargetReader,
        stop_after: StopAfter = "norm",
        values: Mapping[str, ValueCount] | None = None,
        processors: Mapping[str, ProcessorCheck] | None = None,
    ) -> None:
        reader = target_reader(target, data_info.classes) if isinstance(target, str) else target
        super().__init__(
            Reads(tuple(modalities), stop_after=stop_after),
            Needs(target=reader, values=values or {}, processors=processors or {}),
        )
        self.classes = data_info.classes

    @abstractmethod
    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return the head's output for each row, (B, ...)."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a mean over rows."""

    @abstractmethod
    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the value (B,) of each metric that is a mean over rows.

        A task with other metrics, such as average precision, overrides :meth:`evaluator`.
        """

    @abstractmethod
    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the prediction for each row in plain values."""

    def encode(self, backbone: Backbone, batch: Batch) -> Features:
        """Run one pass over the modalities that the task reads, together."""
        step = ForwardPass(self.reads.modalities, stop_after=self.reads.stop_after)
        features: list[Features] = backbone(batch.inputs, [step])[0]
        return features[0]

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the loss, and the metrics of the batch."""
        outputs, targets = self.outputs(backbone, batch), targets_of(batch)
        loss = self.loss(outputs, targets)
        metrics = self.metrics(outputs.detach(), targets)
        return TaskOutput(loss, {name: values.mean() for name, values in metrics.items()})

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Average the metrics over the rows of each set."""

        def values(backbone: Backbone, batch: Batch, dataset: EvaluationSet) -> dict[str, Tensor]:
            return self.metrics(self.outputs(backbone, batch), targets_of(batch))

        return RowEvaluator(sets, values)

    def predict(
        self, backbone: Backbone, batch: Batch, dataset: EvaluationSet | None = None
    ) -> list[Prediction]:
        """Return the prediction for each row."""
        return self.predictions(self.outputs(backbone, batch), batch)
