"""What a task must say: a head, a loss, how it is measured. No optimiser, no Trainer, no logging calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.facts import DataFacts
from onepeace_pl.data.gallery import Gallery

BatchTransform = Callable[[Batch], Batch]


@dataclass
class Step:
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
        facts: What only the data knows.

    Attributes:
        monitor: Validation metric by which the best checkpoint is chosen, and ``max`` or ``min``; None keeps the last.
    """

    monitor: ClassVar[tuple[str, str] | None] = None

    def __init__(self, backbone: Backbone, facts: DataFacts) -> None:
        super().__init__()

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """Modalities that training reads; what belongs to others does not train."""

    @property
    def restores(self) -> tuple[str, ...]:
        """Modalities of which training restores hidden tokens; the decoder's parts of others do not train."""
        return ()

    def batch_transform(self, seed: int) -> BatchTransform | None:
        """Return what each collated training batch must still go through, in the loader's workers; or None.

        Args:
            seed: The run's seed.
        """
        return None

    @abstractmethod
    def forward(self, backbone: Backbone, batch: Batch) -> Step:
        """Compute the loss of a training batch."""

    def start_evaluation(self, galleries: Sequence[Gallery]) -> None:
        """Forget earlier results; ``galleries`` are those that will come, one a data loader."""

    @abstractmethod
    def evaluate(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Take in one evaluation batch of the data loader with that number."""

    @abstractmethod
    def finish_evaluation(self) -> dict[str, float]:
        """Return the metrics over everything taken in, by name."""

    @property
    def results(self) -> Mapping[str, Any]:
        """Full results of the last evaluation, for reports."""
        return {}
