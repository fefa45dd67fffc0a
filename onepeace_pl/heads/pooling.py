"""Multi-head attention pooling: one learnt query per head attends to all tokens (docs/reference/tasks.md).

Shapes: B batch, L tokens, D width, H heads, K head size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onepeace_pl.nn.init import reset_linear_, truncated_normal_


class AttentionPooling(nn.Module):
    """Multi-head attention pooling with learnt queries. Scores are not scaled; their softmax is in float32.

    Args:
        width: Size D of a token.
        heads: Number of heads H.
        std: Standard deviation of the initial query and projections.
    """

    def __init__(self, width: int, heads: int, std: float = 0.02) -> None:
        super().__init__()
        self.std = std
        self.query = nn.Parameter(torch.empty(heads, width // heads))
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        truncated_normal_(self.query, self.std)
        for layer in (self.value, self.out):
            reset_linear_(layer, self.std)
        truncated_normal_(self.key.weight, self.std)

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """Pool the tokens of each sample.

        Args:
            tokens: (B, L, D).
            padding: (B, L) bool, True at padding; None without padding.

        Returns:
            (B, D).
        """
        heads = len(self.query)
        keys = self.key(tokens).unflatten(-1, (heads, -1))
        values = self.value(tokens).unflatten(-1, (heads, -1))
        scores = torch.einsum("hk,blhk->bhl", self.query.to(keys.dtype), keys).float()
        if padding is not None:
            scores = scores.masked_fill(padding[:, None], float("-inf"))
        weights = scores.softmax(-1).to(values.dtype)
        pooled: Tensor = self.out(torch.einsum("bhl,blhk->bhk", weights, values).flatten(1))
        return pooled
