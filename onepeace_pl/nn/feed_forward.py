"""The gated feed-forward (GeGLU) of one modality (paper, section 3.1).

Shapes: D width, F inner width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.fast.recompute import Norm, gated_feed_forward, is_plain
from onepeace_pl.nn.init import reset_linear_


class GatedFeedForward(nn.Module):
    """``W3 LN(GELU(W0 u) * (W1 u))`` with W0 and W1 in one weight and without bias."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.std = config.init_std
        self.expand = nn.Linear(config.width, 2 * config.feed_forward, bias=False)  # W0's rows, then W1's
        self.dropout = nn.Dropout(config.activation_dropout)
        self.norm = nn.LayerNorm(config.feed_forward) if config.feed_forward_norm else nn.Identity()
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        reset_linear_(self.expand, self.std)
        reset_linear_(self.contract, self.std)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        dropped = self.training and self.dropout.p > 0
        if is_plain(self.expand, self.contract) and not dropped:
            return gated_feed_forward(x, self.expand, Norm.of(self.norm), self.contract)
        gate, value = self.expand(x).chunk(2, dim=-1)
        out: Tensor = self.contract(self.norm(self.dropout(F.gelu(gate) * value)))
        return out
