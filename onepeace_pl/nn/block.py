"""One transformer block, run for several sequences at once.

Shapes: B batch, L tokens, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onepeace_pl.nn.attention import SelfAttention
from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.drop_path import residual
from onepeace_pl.nn.feed_forward import GatedFeedForward
from onepeace_pl.nn.routing import Routed, Segment


@dataclass(frozen=True)
class Sequence:
    """What a block must know of one sequence besides its tokens.

    Attributes:
        segments: The modalities' stretches, in order.
        key_padding: (B, L) bool, True where attention must not look; None where it may look everywhere.
        grad: Whether this sequence is differentiated; a teacher's is not.
    """

    segments: tuple[Segment, ...]
    key_padding: Tensor | None = None
    grad: bool = True


class LayerScale(nn.Module):
    """A learnt factor for each channel."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.start = start
        self.gamma = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        nn.init.constant_(self.gamma, self.start)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        return x * self.gamma


class Block(nn.Module):
    """Attention shared by the modalities, then a feed-forward of each modality (spec: model, section 4).

    All sequences of a step pass a block in one call: its weights are fetched once, which under sharding divides the
    communication by the number of sequences.

    Args:
        config: Sizes and switches.
        modalities: Names of the segments that may come.
        drop_path: Probability of dropping each of the two branches.
    """

    def __init__(self, config: TransformerConfig, modalities: SequenceOf[str], drop_path: float) -> None:
        super().__init__()
        width, scale = config.width, config.layer_scale
        self.drop_path, self.subset = drop_path, config.drop_path_mode == "subset"
        self.attention_norm = Routed(modalities, lambda: nn.LayerNorm(width), config.share_attention)
        self.attention = SelfAttention(config, modalities)
        self.attention_scale = LayerScale(width, scale) if scale else nn.Identity()
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = Routed(modalities, lambda: GatedFeedForward(config), config.share_feed_forward)
        self.feed_forward_scale = LayerScale(width, scale) if scale else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, tokens: list[Tensor], biases: list[Tensor | None], sequences: SequenceOf[Sequence]
    ) -> list[Tensor]:
        """Map each (B, L, D) of ``tokens`` with its bias (1 or B, H, L, L) or None."""
        outputs = []
        for x, bias, sequence in zip(tokens, biases, sequences, strict=True):
            with torch.set_grad_enabled(sequence.grad and torch.is_grad_enabled()):
                outputs.append(self._one(x, bias, sequence))
        return outputs

    def _one(self, x: Tensor, bias: Tensor | None, sequence: Sequence) -> Tensor:
        segments, padding = sequence.segments, sequence.key_padding

        def attention(u: Tensor, rows: Tensor | None) -> Tensor:
            mine = bias if bias is None or rows is None or bias.shape[0] == 1 else bias[rows]
            hidden = padding if padding is None or rows is None else padding[rows]
            out = self.attention(self.attention_norm(u, segments), segments, mine, hidden)
            return self.attention_scale(self.dropout(out))  # type: ignore[no-any-return]

        def feed_forward(u: Tensor, rows: Tensor | None) -> Tensor:
            out = self.feed_forward(self.feed_forward_norm(u), segments)
            return self.feed_forward_scale(self.dropout(out))  # type: ignore[no-any-return]

        x = residual(x, attention, self.drop_path, self.subset, self.training)
        return residual(x, feed_forward, self.drop_path, self.subset, self.training)
