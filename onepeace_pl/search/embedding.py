"""Embedding of items in batches; items that cannot be read are set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from onepeace_pl.errors import UserError
from onepeace_pl.hub import OnePeace
from onepeace_pl.modalities import RawInput
from onepeace_pl.search.item import Item

OnError = Literal["raise", "skip"]


class ItemEmbedder:
    """Embeds items with a model.

    Args:
        model: The model.
        width: Number of leading values that vectors are cut to, and normalised again.
        calibrate: Apply the model's calibration.
        batch_size: Items per forward pass.
        on_error: Handling of an item that cannot be embedded.
        resample: Resample audio of another rate than the model's; False rejects it.
    """

    def __init__(
        self,
        model: OnePeace,
        width: int,
        calibrate: bool,
        batch_size: int = 32,
        on_error: OnError = "raise",
        resample: bool = True,
    ) -> None:
        self.model, self.width, self.calibrate = model, width, calibrate
        self.batch_size, self.on_error, self.resample = batch_size, on_error, resample

    def __call__(self, items: Sequence[Item]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return the (width,) float32 unit vector of each id, and the reason of each id that has none.

        Raises:
            UserError: An item cannot be embedded and is not to be skipped, or the model has no such modality.
        """
        vectors: dict[str, Tensor] = {}
        failed: dict[str, str] = {}
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(item.modality, []).append(item)
        for modality, group in groups.items():
            if modality not in self.model.modalities:
                known = ", ".join(self.model.modalities)
                raise UserError(f"{group[0].id}: no modality {modality!r}; the model has {known}")
            self._embed(modality, group, vectors, failed)
        return vectors, failed

    def query(self, inputs: Mapping[str, RawInput], fuse: Literal["sum", "joint"] | None = None) -> Tensor:
        """Return the (width,) vector of one query: a value by modality, several are fused."""
        rows: dict[str, Any] = {name: [value] for name, value in inputs.items()}
        return self._cut(
            self.model.encode(fuse=fuse, calibrate=self.calibrate, resample=self.resample, **rows)
        )[0]

    def _embed(
        self, modality: str, items: Sequence[Item], vectors: dict[str, Tensor], failed: dict[str, str]
    ) -> None:
        inputs: dict[str, Any] = {modality: [item.value for item in items]}
        try:
            rows = self.model.encode(
                calibrate=self.calibrate,
                batch_size=self.batch_size,
                resample=self.resample,
                **inputs,
            )
        except UserError as error:
            if self.on_error == "raise":
                raise
            if len(items) == 1:
                failed[items[0].id] = str(error)
                return
            half = (
                len(items) // 2
            )  # inputs are read before any is embedded, so that halving costs reading only
            self._embed(modality, items[:half], vectors, failed)
            self._embed(modality, items[half:], vectors, failed)
            return
        vectors.update({item.id: row for item, row in zip(items, self._cut(rows), strict=True)})

    def _cut(self, vectors: Tensor) -> Tensor:
        if self.width == vectors.shape[-1]:
            return vectors
        return normalize(vectors[..., : self.width].to(torch.float32), dim=-1)
