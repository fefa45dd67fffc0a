"""Forward passes of a training step, and their outputs.

A step is one call of the backbone with several passes, each of which encodes some modalities together.

Shapes: B batch, L tokens with the CLS token at index 0, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from onepeace_pl.modalities import Mask

StopAfter = Literal["blocks", "norm", "projection"]
"""End of a pass: the last block, the final norms, or the projections of the CLS tokens."""


@dataclass(frozen=True)
class ForwardPass:
    """One pass of the encoder.

    Attributes:
        modalities: Modalities that are encoded together, in this order.
        masks: For a student pass, the mask of each modality: the encoder sees the visible tokens, the decoder
            reconstructs the rest.
        grad: Whether the pass is differentiated; a teacher's is not.
        rows: Number R of samples, the first of the batch; None for all. Masks and features then have R rows.
        stop_after: End of the pass.
        fields: Batch field of a modality, where it is not the one of its name.
        repeat: Number of times that each sample of a modality is repeated, sample by sample: once for each of the
            texts that it is paired with. Its stem runs only once.
    """

    modalities: tuple[str, ...]
    masks: Mapping[str, Mask] | None = None
    grad: bool = True
    rows: int | None = None
    stop_after: StopAfter = "projection"
    fields: Mapping[str, str] = field(default_factory=dict)
    repeat: Mapping[str, int] = field(default_factory=dict)

    def field_of(self, modality: str) -> str:
        """Return the batch field of a modality."""
        return self.fields.get(modality, modality)


@dataclass
class Features:
    """Outputs of a pass, by modality.

    Attributes:
        tokens: (B, L, D) after the final norm, or after the last block where the pass ends there; of the visible
            tokens in a student pass.
        padding: (B, L) bool, True where padded, or None.
        lengths: Number of tokens L with the CLS token, hidden ones included.
        embeddings: (B, D) unit vectors, the projected CLS tokens; empty in a student pass, and in one that ends
            earlier.
        reconstructed: (B, L, D), the decoder's output at every position; student passes only.
    """

    tokens: dict[str, Tensor]
    padding: dict[str, Tensor | None]
    lengths: dict[str, int]
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    reconstructed: dict[str, Tensor] = field(default_factory=dict)
