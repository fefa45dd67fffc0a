"""Multi-head self-attention with additive position bias, for several packed sequences (paper, section 3.1).

Shapes: B batch, L tokens, N rows, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.fast.kernels import attend_rows
from onepeace_pl.nn.fast.packing import Packing
from onepeace_pl.nn.fast.recompute import Norm, is_plain, norm_linear
from onepeace_pl.nn.init import reset_linear_, truncated_normal_
from onepeace_pl.nn.sequence import Bias, Routed, Segment


class FusedProjection(nn.Linear):
    """Queries, keys and values in one product. Keys have no bias."""

    def __init__(self, config: TransformerConfig) -> None:
        self.std = config.init_std
        super().__init__(config.width, 3 * config.width, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(config.width))
        self.value_bias = nn.Parameter(torch.zeros(config.width))

    def reset_parameters(self) -> None:
        """Initialise in place."""
        truncated_normal_(self.weight, self.std)
        for name, parameter in self.named_parameters(recurse=False):
            if name in ("query_bias", "value_bias"):  # not there yet in the constructor
                nn.init.zeros_(parameter)

    def forward(self, input: Tensor) -> Tensor:
        """(..., D) -> (..., 3 D)."""
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        return F.linear(input, self.weight, bias)


class OutputProjection(nn.Module):
    """LayerNorm over the joined heads, projection, and an optional LayerNorm after it."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.std = config.init_std
        self.sub_norm = nn.LayerNorm(config.width) if config.sub_norm else nn.Identity()
        self.linear = nn.Linear(config.width, config.width)
        self.out_norm = nn.LayerNorm(config.width) if config.out_norm else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        reset_linear_(self.linear, self.std)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        if is_plain(self.linear):
            joined = norm_linear(x, Norm.of(self.sub_norm), self.linear)
        else:
            joined = self.linear(self.sub_norm(x))
        out: Tensor = self.out_norm(joined)
        return out


class SelfAttention(nn.Module):
    """Joint attention over all segments; projections shared by the modalities or one set for each.

    Args:
        config: Sizes and switches.
        modalities: Names of the segments that may come.
    """

    def __init__(self, config: TransformerConfig, modalities: Sequence[str]) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.project_in = Routed(modalities, lambda: FusedProjection(config), config.share_attention)
        self.project_out = Routed(modalities, lambda: OutputProjection(config), config.share_attention)
        self.head_scale = nn.Parameter(torch.ones(config.heads)) if config.scale_heads else None

    def reset_parameters(self) -> None:
        """Initialise in place what is this module's own."""
        if self.head_scale is not None:
            nn.init.ones_(self.head_scale)

    def forward(self, rows: Tensor, packing: Packing, biases: Sequence[Bias]) -> Tensor:
        """Attend within each sequence.

        Args:
            rows: (N, D), the packed tokens of all sequences.
            packing: Rows of each sequence, and its padding.
            biases: For each sequence (1 or B, H, L, L), a function that makes it of queries, or None.

        Returns:
            (N, D).
        """
        qkv = self.project_in(rows, packing.segments)
        made = [self._made(bias, qkv, packing, i) for i, bias in enumerate(biases)]
        out = attend_rows(qkv, packing, self.heads, made, self.dropout if self.training else 0.0)
        if self.head_scale is not None:
            out = (out.view(out.shape[0], self.heads, -1) * self.head_scale[:, None]).flatten(1)
        projected: Tensor = self.project_out(out, packing.segments)
        return projected

    def _made(self, bias: Bias, qkv: Tensor, packing: Packing, sequence: int) -> Tensor | None:
        if not callable(bias):
            return bias
        own = packing.unpack(qkv)[sequence]
        return bias(own.view(*own.shape[:2], 3, self.heads, -1))

    def attend(self, tokens: Tensor, modality: str, bias: Tensor | None = None) -> Tensor:
        """Attend within sequences of one modality, outside a block.

        Args:
            tokens: (B, L, D), none padded.
            modality: Modality of the projections.
            bias: (1 or B, H, L, L) or None.

        Returns:
            (B, L, D).
        """
        packing = Packing([tokens.shape[0]], [(Segment(modality, 0, tokens.shape[1]),)])
        return packing.unpack(self(packing.pack([tokens]), packing, [bias]))[0]
