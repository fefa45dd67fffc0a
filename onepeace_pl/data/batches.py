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

    `to` moves the tensors that the model computes with: inputs, masks, targets, digests. The rest stays on the CPU.

    Attributes:
        ids: Ids of the B rows.
        indices: Indices of the rows in the source, (B,) int64.
        epoch: Epoch of training; 0 in evaluation.
        inputs: Inputs by field (a modality, or ``modality:role``); rows with N values of one give B N samples, row by
            row.
        lengths: Numbers of tokens without CLS by modality, (B,) or (B N,) int64; on the CPU.
        word_starts: Word starts by modality, one (K,) bool per sample, None if it is not text; on the CPU.
        masks: Masks by student and modality, added by a task's batch transform.
        labels: Labels of each row, as in the source.
        skipped: Skipped rows.
        contents: Content digests by modality, (B,) int64, equal for equal values; empty if they are not compared.
        spare: Whether no row was valid and one of another batch replaces them; evaluation counts it once by its index,
            predictions omit it.
        targets: Targets of the task, (B, ...), or tensors in lists and mappings as its target reader collates them;
            None without targets.
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
