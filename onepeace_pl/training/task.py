"""The task interface: a head, a loss and an evaluator. Tasks never touch the optimiser, the Trainer or the logger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.encoder import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import Targets
from onepeace_pl.data.needs import Needs
from onepeace_pl.errors import UserError
from onepeace_pl.training.evaluators import Evaluator

Prediction = dict[str, Any]
"""Prediction for a row: plain values by name, and ``drawing``, an image (H, W, 3) uint8 for a file of its own."""


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
    """

    monitor: ClassVar[tuple[str, str] | None] = None

    def __init__(self, reads: Reads, needs: Needs = Needs()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.reads = reads
        self.needs = replace(needs, task=type(self).__name__, modalities=reads.modalities)

    def apply_stage(self, backbone: Backbone) -> None:
        """Freeze the parameters that the backbone's stage excludes, and those that this task never reaches."""
        backbone.apply_stage(self.reads.modalities, self.reads.reconstructs, self.reads.stop_after)

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
            predictions: Of its rows, each with its ``id``.
        """
        return {}

    def is_class_agnostic(self, name: str) -> bool:
        """Whether a parameter can be reused when the classes change (``model.new_head``)."""
        return False


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
