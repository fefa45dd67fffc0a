"""Typed batches, from data to model. Shapes: B samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from onepeace_pl.data.labels.targets import Targets
from onepeace_pl.data.source import Labels
from onepeace_pl.modalities.base import Mask, ModalityInput


@dataclass(frozen=True)
class Skipped:
    """A row that was skipped because it could not be prepared."""

    index: int
    id: str
    reason: str


@dataclass
class Batch:
    """A batch of padded and stacked samples.

    `to` moves the tensors that the model computes with (inputs, masks, targets, digests); all else stays on the CPU.

    Attributes:
        ids: Ids of the rows, B of them.
        indices: (B,) int64, numbers of the rows in their source.
        epoch: Epoch in which the batch was drawn; 0 outside training.
        inputs: Modality to its field. Where rows hold N values of a modality it has B N samples, row by row.
        lengths: Modality to (B,) or (B N,) int64, tokens without CLS; on the CPU.
        word_starts: Modality to one (K,) bool a sample, None where it is not text; on the CPU.
        masks: Stream to modality to mask; filled by a task's batch transform.
        labels: One mapping a sample, as the source gave it.
        skipped: Rows that were skipped.
        contents: Modality to (B,) int64, content digests: equal where rows have the same value; empty where nothing
            is compared.
        spare: No row could be prepared, and one of another batch stands in: in evaluation it counts once by its index,
            a prediction leaves it out.
        targets: What the task reads of the labels: (B, ...), or tensors in lists and mappings as its reader
            collates them; None where it reads none.
    """

    ids: list[str]
    indices: Tensor
    epoch: int
    inputs: dict[str, ModalityInput]
    lengths: dict[str, Tensor]
    word_starts: dict[str, list[npt.NDArray[np.bool_] | None]] = field(default_factory=dict)
    masks: dict[str, dict[str, Mask]] = field(default_factory=dict)
    labels: list[Labels] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    targets: Targets = None
    contents: dict[str, Tensor] = field(default_factory=dict)
    spare: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def counts(self) -> dict[str, float]:
        """Return the mean number of values per row of each modality."""
        return {name: len(field.values) / len(self) for name, field in self.inputs.items()}

    def to(self, device: torch.device | str) -> Self:
        """Return the batch with inputs, masks and targets on a device."""
        # Only towards an accelerator is an unfinished copy safe to hand out.
        wait = torch.device(device).type == "cpu"
        return self._map(lambda tensor: tensor.to(device, non_blocking=not wait))

    def pin_memory(self) -> Self:
        """Return the batch with inputs, masks and targets in page-locked memory."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        def field_of(value: ModalityInput) -> ModalityInput:
            padding = None if value.padding is None else change(value.padding)
            return replace(value, values=change(value.values), padding=padding)

        def mask_of(mask: Mask) -> Mask:
            return Mask(
                keep=change(mask.keep),
                keep_padding=None if mask.keep_padding is None else change(mask.keep_padding),
                hidden=change(mask.hidden),
                keys=change(mask.keys),
                targets=change(mask.targets),
            )

        return replace(
            self,
            inputs={name: field_of(value) for name, value in self.inputs.items()},
            targets=tree_map_only(Tensor, change, self.targets),
            contents={name: change(value) for name, value in self.contents.items()},
            masks={
                stream: {name: mask_of(mask) for name, mask in masks.items()}
                for stream, masks in self.masks.items()
            },
        )


@dataclass
class MultiTaskBatch(Batch):
    """Batches of several tasks for one step.

    Attributes:
        tasks: Task -> its batch.
    """

    tasks: dict[str, Batch] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: dict[str, Batch], epoch: int) -> Self:
        """Combine the batches of several tasks.

        Args:
            tasks: Task -> its batch, in whose epoch it was drawn.
            epoch: The epoch of the run.
        """
        return cls(
            ids=[id for batch in tasks.values() for id in batch.ids],
            indices=torch.cat([batch.indices for batch in tasks.values()]),
            epoch=epoch,
            inputs={},
            lengths={},
            skipped=[
                replace(skipped, reason=f"{name}: {skipped.reason}")
                for name, batch in tasks.items()
                for skipped in batch.skipped
            ],
            tasks=tasks,
        )

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, tasks={name: batch._map(change) for name, batch in self.tasks.items()})
