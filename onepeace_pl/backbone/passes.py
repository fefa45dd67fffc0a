"""A stream is one pass of the encoder over some modalities; a step is several streams in one forward call.

Shapes: B batch, L tokens with the summary at index 0, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from onepeace_pl.modalities import Mask

StopAfter = Literal["blocks", "norm", "projection"]
"""Where a pass ends: behind the blocks, behind the final norms, or behind the projections of the summaries."""


@dataclass(frozen=True)
class ForwardPass:
    """One pass.

    Attributes:
        modalities: Which modalities are read together, in this order.
        masks: For a student pass, the mask of each modality: the encoder sees the visible tokens, the decoder
            restores the rest.
        grad: Whether the pass is differentiated; a teacher's is not.
        rows: Number R of samples that the pass reads, the first of the batch; None for all. Masks and features
            then have R rows.
        stop_after: Where the pass ends.
        fields: Field of the batch that a modality is read from, where it is not the one of its name.
        repeat: How often each sample of a modality is repeated, sample by sample: once for each of the texts that
            it is read with. Its stem runs only once.
    """

    modalities: tuple[str, ...]
    masks: Mapping[str, Mask] | None = None
    grad: bool = True
    rows: int | None = None
    stop_after: StopAfter = "projection"
    fields: Mapping[str, str] = field(default_factory=dict)
    repeat: Mapping[str, int] = field(default_factory=dict)

    def field_of(self, modality: str) -> str:
        """Return the field of the batch that a modality is read from."""
        return self.fields.get(modality, modality)


@dataclass
class Features:
    """What a stream gives, by modality.

    Attributes:
        tokens: (B, L, D) after the final norm, or behind the blocks where the pass ends there; of the visible
            tokens in a student pass.
        padding: (B, L) bool, True where padded, or None.
        lengths: Number of tokens L with the summary, hidden ones counted.
        embeddings: (B, D) unit vectors, the projected summaries; empty in a student pass, and in one that ends
            before.
        restored: (B, L, D), the decoder's answer at every position; student passes only.
    """

    tokens: dict[str, Tensor]
    padding: dict[str, Tensor | None]
    lengths: dict[str, int]
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    restored: dict[str, Tensor] = field(default_factory=dict)
