"""Token sequences: the input of a transformer.

Shapes: B batch, L tokens, D width, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Bias = Tensor | Callable[[Tensor], Tensor | None] | None
"""(1 or B, H, L, L), or what makes it of queries, keys and values (B, L, 3, H, K) as projected, or none."""


class Segment(NamedTuple):
    """A stretch ``start:stop`` of a sequence, or of rows of a matrix, that belongs to one modality."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class TokenSequence:
    """A batch of token sequences of equal length, over one modality or several.

    Attributes:
        tokens: (B, L, D), padded ones zeroed.
        segments: The stretch of each modality, in order.
        biases: Attention biases (1 or B, H, L, L): none, one for all blocks, or one for each block.
        key_padding: (B, L) bool, True where attention must not look; None where it may look at all tokens.
        grad: Whether gradients are computed; a teacher has none.
        norm: Whether the final LayerNorms follow the last block.
        group: Consecutive rows of the batch that belong to one sample, such as the windows of an image; B is a
            multiple of it.
    """

    tokens: Tensor
    segments: tuple[Segment, ...]
    biases: Sequence[Tensor] = ()
    key_padding: Tensor | None = None
    grad: bool = True
    norm: bool = True
    group: int = 1

    @property
    def records(self) -> bool:
        """Whether autograd records what is computed of this sequence."""
        return self.grad and torch.is_grad_enabled()

    def bias(self, block: int) -> Tensor | None:
        """Attention bias of one block."""
        if not self.biases:
            return None
        return self.biases[block if len(self.biases) > 1 else 0]
