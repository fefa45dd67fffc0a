"""The task interface: a head, a loss and an evaluator. Tasks never touch the optimiser, the Trainer or the logger.

Shapes: B rows of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone, Features, ForwardPass
from onepeace_pl.backbone.encoder import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet, Reference
from onepeace_pl.data.labels.targets import FunctionTarget, Target, TargetReader, Targets, target_reader
from onepeace_pl.data.needs import Needs, Offer, ProcessorCheck, ValueCount
from onepeace_pl.data.source import Labels
from onepeace_pl.errors import UserError
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.results.base import PlainResult, Result
from onepeace_pl.results.examples import Examples
from onepeace_pl.training.evaluators import Evaluator, RowEvaluator, mean_of_rows
from onepeace_pl.training.examples import ExampleSelection, Judgement

HALF = 0.5
_VALUE = "values of rows: "  # how columns beside those of metrics begin
_OUTPUTS, _TARGETS = f"{_VALUE}outputs", f"{_VALUE}targets"

Prediction = dict[str, Any]
"""Prediction for a row: plain values by name, and images for files of their own, uint8: ``drawing`` (H, W, 3), and
``mask`` (H, W), the class index of each pixel."""


@dataclass
class TaskOutput:
    """Result of a training step.

    Attributes:
        loss: Scalar to be minimised.
        logs: Scalars by name, without gradient.
    """

    loss: Tensor
    logs: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Reads:
    """Part of the backbone that a training step reaches; the rest is frozen.

    Attributes:
        modalities: Modalities that the passes read.
        reconstructs: Modalities whose masked tokens the decoder reconstructs.
        stop_after: Last part of the encoder that runs: ``blocks``, ``norm`` or ``projection``.
    """

    modalities: tuple[str, ...]
    reconstructs: tuple[str, ...] = ()
    stop_after: StopAfter = "projection"


class Task(nn.Module, ABC):
    """Base of all tasks.

    The constructor of a subclass takes the backbone and the :class:`~onepeace_pl.data.data_info.DataInfo` first, then
    its own options. The backbone is shared: a task keeps no reference to it.

    Args:
        reads: Part of the backbone that training reaches.
        needs: Requirements on the data.

    Attributes:
        monitor: Validation metric that selects the best checkpoint, and ``max`` or ``min``; None keeps the last.
        result_type: Type of the results of :class:`~onepeace_pl.prediction.Predictor`, made of predictions.
    """

    monitor: ClassVar[tuple[str, str] | None] = None
    result_type: ClassVar[type[Result]] = PlainResult

    def __init__(self, reads: Reads, needs: Needs = Needs()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.reads = reads
        self.needs = replace(needs, task=type(self).__name__, modalities=reads.modalities)

    def apply_stage(self, backbone: Backbone) -> None:
        """Freeze the parameters that the backbone's stage excludes, and those that this task never reaches."""
        backbone.apply_stage(self.reads.modalities, self.reads.reconstructs, self.reads.stop_after)

    def prepare(self, offer: Offer) -> None:
        """Read what the loss needs to know of the data, such as the frequencies of classes; called before the loaders.

        Args:
            offer: Data that the data module offers to the command at hand, the same in every process.
        """

    @abstractmethod
    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the loss of a training batch."""

    @abstractmethod
    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Return a new evaluator of these sets, one a data loader."""

    def predict(
        self, backbone: Backbone, batch: Batch, dataset: EvaluationSet | None = None
    ) -> list[Prediction] | None:
        """Return a prediction for each row; None where the embeddings are the prediction.

        Args:
            backbone: The backbone.
            batch: Rows of a set.
            dataset: The set; None where the Trainer has data loaders without a data module.
        """
        return None

    def export(self, dataset: EvaluationSet, predictions: Sequence[Prediction]) -> Mapping[str, str]:
        """Return further files of the predictions for a set, file ending -> text, in formats of other tools.

        Args:
            dataset: The set.
            predictions: Predictions of its rows, each with its ``id``.
        """
        return {}

    def is_class_agnostic(self, name: str) -> bool:
        """Whether a parameter can be reused when the classes change (``model.new_head``)."""
        return False


class SupervisedTask(Task):
    """Base of tasks that compare the output for each row with a target.

    Subclasses implement :meth:`outputs`, :meth:`loss`, :meth:`metrics` and :meth:`predictions`; for results by class
    :meth:`row_values` and :meth:`by_class`, for examples of its predictions :meth:`judge` and :meth:`truths`.

    Args:
        data_info: Dataset metadata.
        modalities: Modalities that the task reads.
        target: Name of the label to be predicted, such as ``class`` or ``box``, or a picklable function of a row's
            labels that returns a number or an array.
        stop_after: Last part of the encoder that the head reads from: ``blocks``, ``norm`` or ``projection``.
        values: Number of values per row by modality, if it is not one.
        processors: Checks of the processors by modality.

    Attributes:
        set_metrics: Name -> function of outputs and targets (N, ...) of all rows of a set, in float32 on the CPU, for
            metrics that are no mean over rows; torchmetrics' functionals fit.
        classes: Names of the classes, in the order of their numbers.
    """

    set_metrics: ClassVar[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {}

    def __init__(
        self,
        data_info: DataInfo,
        modalities: Sequence[str],
        target: str | TargetReader | Callable[[Labels], Target],
        stop_after: StopAfter = "norm",
        values: Mapping[str, ValueCount] | None = None,
        processors: Mapping[str, ProcessorCheck] | None = None,
    ) -> None:
        if isinstance(target, str):
            target = target_reader(target, data_info.classes)
        reader = target if isinstance(target, TargetReader) else FunctionTarget(target)
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

        Other metrics, such as average precision, belong to ``set_metrics``.
        """

    @abstractmethod
    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the prediction for each row in plain values."""

    def row_values(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return values of each row, (B, ...), that :meth:`by_class` needs of the whole set."""
        return {}

    def by_class(self, columns: Columns) -> ByClass | None:
        """Return the results of a set by class, for the report; None where there are none.

        Args:
            columns: :meth:`row_values` of all rows, (N, ...) float32; where there are set metrics, also ``outputs`` and
                ``targets``.
        """
        return None

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return how wrong the prediction for each row is, which selects the examples of a report; None selects none.

        By default what :meth:`metrics` says of the monitored metric: if greater is better, a value of at least a half
        is right; otherwise it is the error, and there is no right and wrong.
        """
        name, mode = self.monitor or ("", "max")
        value = self.metrics(outputs, targets).get(name)
        if value is None:
            return None
        return Judgement(-value, value >= HALF) if mode == "max" else Judgement(value)

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return what is true of each row in the form of :meth:`predictions`, for pictures of examples.

        By default ``target``: the name of a class index, another number as it is, of an array nothing.
        """
        if (
            not isinstance(targets, Tensor) or targets.ndim != 1
        ):  # whatever a target reader of one's own gives
            return [{} for _ in range(len(batch))]
        names = self.classes if not targets.is_floating_point() else ()
        return [{"target": names[value] if names else value} for value in targets.tolist()]

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
        """Average the metrics over the rows of each set, and compute those of whole sets; select examples."""
        selections = {each.name: ExampleSelection() for each in sets}

        def values(backbone: Backbone, batch: Batch, dataset: EvaluationSet) -> dict[str, Tensor]:
            outputs, targets = self.outputs(backbone, batch), targets_of(batch)
            rows = {f"{_VALUE}{name}": value for name, value in self.row_values(outputs, targets).items()}
            if self.set_metrics or _is_regression(outputs, targets):
                rows |= {_OUTPUTS: outputs, _TARGETS: targets}
            judgement = self.judge(outputs, targets)
            if judgement is not None:
                selections[dataset.name].update(
                    batch.indices,
                    judgement,
                    lambda: (self.predictions(outputs, batch), self.truths(outputs, targets, batch)),
                )
            return rows | self.metrics(outputs, targets)

        def summary(columns: Columns) -> dict[str, float]:
            metrics = mean_of_rows({n: v for n, v in columns.items() if not n.startswith(_VALUE)})
            if self.set_metrics:
                outputs, targets = torch.from_numpy(columns[_OUTPUTS]), torch.from_numpy(columns[_TARGETS])
                metrics |= self._of_set(outputs, targets)
            return metrics

        def by_class(columns: Columns) -> ByClass | None:
            return self.by_class(
                {n.removeprefix(_VALUE): v for n, v in columns.items() if n.startswith(_VALUE)}
            )

        def examples(dataset: EvaluationSet) -> Examples:
            return selections[dataset.name].gather(self.result_type, self.classes)

        def references(columns: Columns) -> dict[str, Reference]:
            if _OUTPUTS not in columns:
                return {}
            outputs, targets = torch.from_numpy(columns[_OUTPUTS]), torch.from_numpy(columns[_TARGETS])
            if not _is_regression(outputs, targets):
                return {}
            constant = targets.mean().expand_as(targets)
            means = {name: float(value.mean()) for name, value in self.metrics(constant, targets).items()}
            baselines = means | self._of_set(constant, targets)
            return {name: Reference(baseline=value) for name, value in baselines.items()}

        return RowEvaluator(
            sets, values, summary, by_class=by_class, examples=examples, references=references
        )

    def _of_set(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        return {name: float(metric(outputs, targets)) for name, metric in self.set_metrics.items()}

    def predict(
        self, backbone: Backbone, batch: Batch, dataset: EvaluationSet | None = None
    ) -> list[Prediction]:
        """Return the prediction for each row."""
        return self.predictions(self.outputs(backbone, batch), batch)


def _is_regression(outputs: Tensor, targets: Targets) -> bool:
    """Whether each row has one number as output and target; the mean target is then a baseline."""
    if not isinstance(targets, Tensor) or targets.ndim != 1:
        return False
    return outputs.shape == targets.shape and targets.is_floating_point()


def targets_of(batch: Batch) -> Targets:
    """Return the batch's targets, as the task's reader collates them.

    Raises:
        UserError: There are none: the data module was not connected to the task.
    """
    if batch.targets is None:
        raise UserError("the batch has no targets; call the data module's connect(task.needs) first")
    return batch.targets


def head_modules(task: nn.Module) -> list[nn.Module]:
    """Return the modules with weights that a task calls; each is sharded as a whole.

    Raises:
        UserError: The task has parameters outside any module that it calls.
    """
    if any(True for _ in task.parameters(recurse=False)):
        raise UserError(
            f"{type(task).__name__} has parameters of its own, which cannot be sharded; put them into a module"
        )
    found: list[nn.Module] = []
    for child in task.children():
        if isinstance(child, Task | nn.ModuleDict | nn.ModuleList):  # containers: never called as a whole
            found += head_modules(child)
        elif any(True for _ in child.parameters()):
            found.append(child)
    return found
