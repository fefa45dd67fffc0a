"""Embedding of a stream of items; those that cannot be read are set aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal, Required, TypedDict

import torch
from torch import Tensor
from torch.nn.functional import normalize

from onepeace_pl.backbone import Fuse
from onepeace_pl.embedding.item import Item
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.hub import OnePeace
from onepeace_pl.hub.preparation import Workers
from onepeace_pl.modalities import RawInput
from onepeace_pl.modalities.truncation import LongAudio

OnError = Literal["raise", "skip"]
BATCHES = 8
"""Batches of a chunk: items of equal length can share a batch."""


class EmbedderOptions(TypedDict, total=False):
    """Options of :class:`ItemEmbedder`, for callers that hand them on."""

    width: Required[int]
    calibrate: Required[bool]
    fuse: Fuse | None
    batch_size: int
    num_workers: int
    on_error: OnError
    resample: bool
    long_audio: LongAudio


class ItemEmbedder:
    """Embeds items with a model.

    Args:
        model: The model.
        width: Number of leading values that vectors are cut to, and normalised again.
        calibrate: Apply the model's calibration.
        fuse: Fusion of items of several modalities; None for what the model was trained for.
        batch_size: Items per forward pass.
        num_workers: Workers that read and prepare items while the model embeds those before them.
        workers: ``threads``, or ``processes``: faster for many files, and of raw values that can be pickled.
        on_error: Handling of an item that cannot be embedded.
        resample: Resample audio of another rate than the model's; False rejects it.
        long_audio: Handling of long audio, as of :meth:`~onepeace_pl.OnePeace.encode`.
    """

    def __init__(
        self,
        model: OnePeace,
        width: int,
        calibrate: bool,
        fuse: Fuse | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        on_error: OnError = "raise",
        resample: bool = True,
        long_audio: LongAudio = "cut",
        workers: Workers = "threads",
    ) -> None:
        self.model, self.width, self.calibrate, self.fuse = model, width, calibrate, fuse
        self.batch_size, self.num_workers, self.on_error = batch_size, num_workers, on_error
        self.resample, self.long_audio, self.workers = resample, long_audio, workers

    @property
    def chunk_size(self) -> int:
        """Items of a chunk that batches are well filled with."""
        return self.batch_size * BATCHES

    def __call__(self, chunks: Iterable[Sequence[Item]]) -> Generator[list[Tensor | str], None, None]:
        """Yield the (width,) float32 unit vector of each item of a chunk, or the reason why it has none.

        A vector depends on the items of its chunk alone. Chunks are read one ahead if there are workers.

        Raises:
            UserError: An item cannot be embedded and is not to be skipped, or the model has no such modality.
        """
        waiting = deque[Sequence[Item]]()

        def inputs() -> Iterator[list[Mapping[str, RawInput]]]:
            for chunk in chunks:
                for item in chunk:
                    self._check(item)
                waiting.append(chunk)
                yield [item.inputs for item in chunk if not item.error]

        embedded = self.model.encode_chunks(
            inputs(),
            fuse=self.fuse,
            calibrate=self.calibrate,
            truncate_dim=self.width,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            workers=self.workers,
            resample=self.resample,
            long_audio=self.long_audio,
        )
        with closing(embedded):
            for rows in embedded:
                found = iter(rows)
                yield [self._result(item, None if item.error else next(found)) for item in waiting.popleft()]

    def query(self, inputs: Mapping[str, RawInput], fuse: Fuse | None = None) -> Tensor:
        """Return the (width,) vector of one query: a value by modality, several are fused."""
        rows: dict[str, Any] = {name: [value] for name, value in inputs.items()}
        vectors: Tensor = self.model.encode(
            fuse=fuse, calibrate=self.calibrate, resample=self.resample, **rows
        )
        vector = vectors[0]
        if self.width == len(vector):
            return vector
        return normalize(vector[: self.width].to(torch.float32), dim=-1)

    def _check(self, item: Item) -> None:
        for name in item.inputs:
            if name not in self.model.modalities:
                known = ", ".join(self.model.modalities)
                raise UserError(f"{item.id}: no modality {name!r}; the model has {known}")

    def _result(self, item: Item, row: Tensor | Exception | None) -> Tensor | str:
        if isinstance(row, Tensor):
            return row
        reason = item.error if row is None else first_line(row, type(row).__name__)
        if row is not None and item.id not in reason:
            reason = f"{item.id}: {reason}"
        if self.on_error == "raise":
            raise UserError(reason) from row
        return reason
