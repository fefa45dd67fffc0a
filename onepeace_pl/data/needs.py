"""The data interface of tasks: the needs of a task, the offer of a data module, and the base of data modules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import lightning as L

from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.loading.collate import BatchTransform
from onepeace_pl.data.loading.dataset import OnError
from onepeace_pl.data.loading.skips import SkipLog
from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Processor

Split = Literal["validation", "test"]
EVALUATION_SPLITS: Final[tuple[Split, ...]] = ("validation", "test")
ProcessorCheck = Callable[[Processor], None]
"""Raises `UserError` for a processor that the task cannot use."""


@dataclass(frozen=True)
class ValueCount:
    """Number of values of one modality in a row, such as the frames of a clip or the choices of a question.

    Attributes:
        minimum: Smallest number.
        maximum: Greatest number; None for no limit.
        remedy: End of the error message.
    """

    minimum: int
    maximum: int | None
    remedy: str

    def check(self, modality: str, count: float) -> None:
        """Reject another number of values; a fraction means that rows differ.

        Raises:
            UserError: The number is out of range.
        """
        if count % 1 or count < self.minimum or (self.maximum is not None and count > self.maximum):
            wanted = f"{self.minimum}" if self.maximum == self.minimum else f"{self.minimum} or more"
            raise UserError(
                f"{count:g} values of {modality} a row, and the task reads {wanted}; {self.remedy}"
            )


@dataclass(frozen=True)
class Needs:
    """Requirements of a task on its data.

    Attributes:
        target: Reads a row's target from its labels, in the loader's workers; None for a task without targets.
        batch_transform: Seed of the run -> transform of each collated training batch, in the loader's workers.
        values: Modality -> number of values a row.
        processors: Modality -> check of its processor, for instance that it does not crop where boxes matter.
        duplicates: Whether training compares rows by content, so that workers make digests.
        image_size: Whether the data module must have a transform, which records the size of each image.
        fields: Fields that training reads, such as ``image:other``; empty for one of each modality.
        evaluation: Type of the evaluation sets: labelled rows, or galleries.
        task: Class name of the task, for messages; set by the task itself.
        modalities: Modalities that training reads; set by the task itself.
        tasks: Requirements of each task, where several train together.
        trained: Those of them that train.
    """

    target: TargetReader | None = None
    batch_transform: Callable[[int], BatchTransform] | None = None
    values: Mapping[str, ValueCount] = field(default_factory=dict)
    processors: Mapping[str, ProcessorCheck] = field(default_factory=dict)
    duplicates: bool = False
    image_size: bool = False
    fields: tuple[str, ...] = ()
    evaluation: type[EvaluationSet] = EvaluationSet
    task: str = ""
    modalities: tuple[str, ...] = ()
    tasks: Mapping[str, Needs] = field(default_factory=dict)
    trained: tuple[str, ...] = ()

    def check_values(self, counts: Mapping[str, float]) -> None:
        """Reject rows with another number of values than the task reads.

        Args:
            counts: Modality -> values a row.

        Raises:
            UserError: Names the modality, the number and the remedy.
        """
        for modality, expected in self.values.items():
            expected.check(modality, counts[modality])


@dataclass(frozen=True)
class Offer:
    """Data that a data module offers to one command.

    Attributes:
        data: Class name of the data module, for messages.
        processors: Processor of each modality.
        train: Training rows; None outside ``fit``.
        evaluation: Evaluation sets that the command reads.
        transform: Joint transform of images and their labels.
        on_error: Treatment of rows that cannot be prepared.
        tasks: Offer to each task, where several train together.
    """

    data: str
    processors: Mapping[str, Processor] = field(default_factory=dict)
    train: Source | None = None
    evaluation: Sequence[EvaluationSet] = ()
    transform: JointTransform | None = None
    on_error: OnError = "raise"
    tasks: Mapping[str, Offer] = field(default_factory=dict)


class TaskDataModule(L.LightningDataModule, ABC):
    """Base of data modules that serve tasks.

    Attributes:
        processors: Processor of each modality.
        skips: Rows that could not be prepared.
    """

    processors: Mapping[str, Processor]

    def __init__(self) -> None:
        super().__init__()
        self.skips = SkipLog()

    @property
    @abstractmethod
    def data_info(self) -> DataInfo:
        """Dataset metadata that tasks need."""

    @property
    @abstractmethod
    def predicted(self) -> list[EvaluationSet]:
        """Sets that ``predict`` reads, one a loader."""

    @abstractmethod
    def evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Return the sets of a split, one a loader, in the loaders' order."""

    @abstractmethod
    def offer(self, verb: str) -> Offer:
        """Return the data that a command (``fit``, ``validate``, ``test``, ``predict``) reads."""

    @abstractmethod
    def connect(self, needs: Needs) -> None:
        """Configure the loaders for a task; called before they are made."""

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Log the rows that were skipped."""
        if batch.skipped:
            self.skips.add(batch.skipped)
        return batch
