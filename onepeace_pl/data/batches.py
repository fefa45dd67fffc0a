"""What flows from data to model: rows of a source, and typed batches. Shapes: B samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from onepeace_pl.modalities.base import Mask, ModalityInput


class Frames(tuple[Any, ...]):
    """Several raw values of one modality that training changes in the same way, such as the frames of a clip."""


@dataclass(frozen=True)
class Row:
    """One row of a source: raw, nothing decoded.

    What tasks read of ``labels``:

    ==============  =============================================================================
    ``class``       Class of the row: its number (int) or its name (str).
    ``classes``     Classes of the row, any number of them: a sequence, or a str with commas.
    ``box``         Where the thing is that the text means: x0, y0, x1, y1 in pixels of the picture.
    ``extent``      Width and height of that picture in pixels: upright, as its EXIF orientation turns it, or as
                    stored, in which case it is not turned.
    ``answer``      Number of the right one among the choices (several texts a row).
    ``answers``     Answer (its number or its text) to confidence, 0 to 1.
    ``truth``       Whether the text holds, bool.
    ``topic``       Group that the row's result is also reported in, str.
    ``objects``     What is in the picture: mappings with ``class``, ``box`` and, where known, ``outline``
                    (polygons, run lengths or an array) and ``crowd``.
    ``mask``        Class of each pixel: a picture of numbers (path, encoded bytes, PIL image) or an array (H, W).
    ==============  =============================================================================

    Attributes:
        id: Rows with equal id belong together (five captions of one picture).
        fields: Modality to raw value: text str; image path, encoded bytes, PIL image or uint8 array (H, W,
            3); audio path or (float32 array, rate in Hz). A tuple holds several values of that modality: the
            choices of a question, the two pictures of a statement; :class:`Frames` the frames of a clip.
        labels: Whatever a task needs besides.
    """

    id: str
    fields: dict[str, Any]
    labels: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """Rows by number. Picklable; the same number gives the same row.

    May have besides: ``texts()``, all texts without making rows; ``labels()``, the labels of each row without
    making it, which are then checked before anything trains; ``classes``, names of classes in the order of their
    numbers; ``ids()``, the id of each row without making it; ``files(number)``, the media files of a row;
    ``lengths()``, the length of each row in any unit; ``one_per_id()``, the modalities of which rows with equal id
    hold the same; ``takes_epoch = True``, to be asked for (epoch, number) in training. Any of these methods may return
    None for what is not known. A source that wraps others is a :class:`~onepeace_pl.data.sources.SourceView`, which
    passes on all that they know.
    """

    modalities: tuple[str, ...]

    if TYPE_CHECKING:

        def __len__(self) -> int: ...

        def __getitem__(self, index: int, /) -> Row: ...

    else:
        # The config parser compares annotations literally: with some here, it would refuse a class that has
        # none.

        def __len__(self): ...

        def __getitem__(self, index, /): ...


def told_labels(source: Source) -> Iterator[Mapping[str, Any]] | None:
    """Return the labels of every row of a source that tells them without making rows; None of any other."""
    known = getattr(source, "labels", None)
    labels = known() if callable(known) else None
    return None if labels is None else iter(labels)


def labels_of(source: Source) -> Iterator[Mapping[str, Any]]:
    """Return the labels of every row, without making it where the source can; goes on behind one that raises."""

    def made(number: int) -> Mapping[str, Any]:
        return source[number].labels

    told = told_labels(source)
    return map(made, range(len(source))) if told is None else told


def values_of(raw: Any) -> tuple[Any, ...]:
    """Return the raw values of a field one by one; (samples, rate) is one sound."""
    is_sound = isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[1], int | float | np.number)
    return raw if isinstance(raw, tuple) and not is_sound else (raw,)


@dataclass(frozen=True)
class Skipped:
    """A row that was left out because it could not be prepared."""

    index: int
    id: str
    reason: str


@dataclass
class Batch:
    """Samples of equal importance, padded and stacked.

    `to` moves what the model computes with (inputs, masks, targets and digests); all else stays on the host.

    Attributes:
        ids: Ids of the rows, B of them.
        indices: (B,) int64, numbers of the rows in their source.
        epoch: Epoch in which the batch was drawn; 0 outside training.
        inputs: Modality to its field. Where rows hold N values of a modality it has B N samples, row by row.
        lengths: Modality to (B,) or (B N,) int64, tokens without the summary; on the host.
        word_starts: Modality to one (K,) bool a sample, None where it is not text; on the host.
        masks: Stream to modality to mask; filled by a task's batch transform.
        labels: One mapping a sample, as the source gave it.
        skipped: Rows that were left out of this batch.
        contents: Modality to (B,) int64, digests that are equal where rows hold the same; empty where nothing is
            compared.
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
    labels: list[Mapping[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    targets: Any = None
    contents: dict[str, Tensor] = field(default_factory=dict)
    spare: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def counts(self) -> dict[str, float]:
        """Return the values a row of each modality; a fraction where rows have unequal numbers of them."""
        return {name: len(field.values) / len(self) for name, field in self.inputs.items()}

    def to(self, device: torch.device | str) -> Self:
        """Return the batch with inputs, masks and targets on a device."""
        # Only towards an accelerator is an unfinished copy safe to hand out.
        wait = torch.device(device).type == "cpu"
        return self._map(lambda tensor: tensor.to(device, non_blocking=not wait))

    def pin_memory(self) -> Self:
        """Return the batch with inputs, masks and targets in page-locked memory."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, change: Any) -> Self:
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
    """Batches of several tasks for one step: ids, rows left out and indices of all, inputs by task.

    Attributes:
        tasks: Task -> its batch.
    """

    tasks: dict[str, Batch] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: dict[str, Batch], epoch: int) -> Self:
        """Put batches together.

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

    def _map(self, change: Any) -> Self:
        return replace(self, tasks={name: batch._map(change) for name, batch in self.tasks.items()})
