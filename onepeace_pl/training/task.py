"""What a task must say: a head, a loss, how it is measured. No optimiser, no Trainer, no logging calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.modalities.base import Processor

BatchTransform = Callable[[Batch], Batch]


@dataclass
class TaskOutput:
    """What a training step gives.

    Attributes:
        loss: Scalar to be minimised.
        logs: Scalars by name, without gradient.
    """

    loss: Tensor
    logs: dict[str, Tensor] = field(default_factory=dict)


class Task(nn.Module, ABC):
    """Base of all tasks.

    The constructor of a subclass takes the backbone and the facts about the data first, then its own options.

    Args:
        backbone: Shared; a task keeps no reference to it.
        data_info: What only the data knows.

    Attributes:
        monitor: Validation metric by which the best checkpoint is chosen, and ``max`` or ``min``; None keeps the last.
        measured_on: What it is measured on: sets of labelled rows, or galleries.
    """

    monitor: ClassVar[tuple[str, str] | None] = None
    measured_on: ClassVar[type[EvaluationSet]] = EvaluationSet

    def __init__(self, backbone: Backbone, data_info: DataInfo) -> None:
        super().__init__()

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """Modalities that training reads; what belongs to others does not train."""

    @property
    def reconstructs(self) -> tuple[str, ...]:
        """Modalities of which training restores hidden tokens; the decoder's parts of others do not train."""
        return ()

    @property
    def stop_after(self) -> StopAfter:
        """Where its passes end; what follows in the encoder does not train."""
        return "projection"

    @property
    def heads(self) -> list[nn.Module]:
        """Modules with weights that the task calls; each is sharded as a whole.

        Raises:
            ValueError: The task has weights outside any module that it calls.
        """
        if any(True for _ in self.parameters(recurse=False)):
            raise ValueError(
                f"{type(self).__name__} has parameters of its own, which cannot be sharded; put them into a module"
            )
        return [child for child in self.children() if any(True for _ in child.parameters())]

    def is_class_agnostic(self, name: str) -> bool:
        """Say whether a weight of the task keeps its worth for other classes (``model.new_head``)."""
        return False

    def apply_stage(self, backbone: Backbone) -> None:
        """Freeze what the backbone's stage leaves as it is, and what this task never reaches."""
        backbone.apply_stage(self.modalities, self.reconstructs, self.stop_after)

    @property
    def read_target(self) -> TargetReader | None:
        """What reads a row's target from its labels, in the loader's workers; None where the task reads none."""
        return None

    @property
    def compares(self) -> bool:
        """Whether training asks which rows hold the same; workers then make digests of what each holds."""
        return False

    def check_processors(self, processors: Mapping[str, Processor]) -> None:
        """Refuse preparation that the task cannot do with, such as crops where boxes matter.

        Raises:
            ValueError: Names the option and the remedy.
        """

    def check_values(self, counts: Mapping[str, float]) -> None:
        """Refuse rows that hold another number of values of a modality than the task reads.

        Args:
            counts: Modality -> values a row.

        Raises:
            ValueError: Names the number and the remedy.
        """

    def batch_transform(self, seed: int) -> BatchTransform | None:
        """Return what each collated training batch must still go through, in the loader's workers; or None.

        Args:
            seed: The run's seed.
        """
        return None

    def prepare(self, data: Any) -> None:
        """Tell a data module what its workers do for this task; called before it makes loaders."""
        data.batch_transform, data.read_target = self.batch_transform(data.seed), self.read_target
        data.compare = self.compares

    @abstractmethod
    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the loss of a training batch."""

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results; ``sets`` are those that will come, one a data loader."""

    @abstractmethod
    def evaluate(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Take in one evaluation batch of the data loader with that number."""

    @abstractmethod
    def finish_evaluation(self) -> dict[str, float]:
        """Return the metrics over everything taken in, by name."""

    def of(self, each: EvaluationSet) -> Task:
        """Return the task that answers the rows of a set: this one, unless it stands for several."""
        return self

    def start_prediction(self, sets: Sequence[EvaluationSet]) -> None:
        """Get ready to answer the rows of these sets."""

    def predict(self, backbone: Backbone, batch: Batch) -> list[dict[str, Any]] | None:
        """Return an answer for each row, plain values by name; None where the task gives vectors instead.

        ``drawing``, a picture (H, W, 3) uint8, is written into a file of its own.
        """
        return None

    def export(self, each: EvaluationSet, answers: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Return further files of the answers to a set, ending -> text, in formats that others read.

        Args:
            each: The set.
            answers: Of its rows, each with its ``id``.
        """
        return {}

    @property
    def results(self) -> Mapping[str, Any]:
        """Full results of the last evaluation, for reports."""
        return {}

    @property
    def drawings(self) -> Mapping[str, Sequence[Any]]:
        """By set, pictures (H, W, 3) uint8 of what the last evaluation found; none for most tasks."""
        return {}
