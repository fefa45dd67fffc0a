"""The gated feed-forward of one modality (spec: model, section 4).

Shapes: B batch, L tokens, D width, F inner width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.init import reset_linear_


class GatedFeedForward(nn.Module):
    """``W3 LN(GELU(W0 u) * (W1 u))`` with W0 and W1 in one product and without bias."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.std = config.init_std
        self.expand = nn.Linear(config.width, 2 * config.feed_forward, bias=False)  # rows of W0, then of W1
        self.dropout = nn.Dropout(config.activation_dropout)
        self.norm = nn.LayerNorm(config.feed_forward) if config.feed_forward_norm else nn.Identity()
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        reset_linear_(self.expand, self.std)
        reset_linear_(self.contract, self.std)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        gate, value = self.expand(x).chunk(2, dim=-1)
        return self.contract(self.norm(self.dropout(F.gelu(gate) * value)))  # type: ignore[no-any-return]
