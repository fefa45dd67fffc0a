"""The head of the vision code: the mean of the patches, normalised (spec: tasks, section 12).

Shapes: B batch, L tokens with the summary at index 0, D width, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Features

STD = 0.02 * 0.001


class MeanHead(nn.Module):
    """Mean of all tokens but the summary -> LayerNorm -> linear, which starts close to nothing.

    Made for passes that end behind the blocks, without final norms; padded tokens do not count.

    Args:
        width: Size D of a token.
        outputs: Number C of outputs.
        dropout: Before the linear layer.
    """

    def __init__(self, width: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place what is this module's own."""
        nn.init.normal_(self.linear.weight, std=STD)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Features, modality: str) -> Tensor:
        """Return (B, C) from the tokens of a modality."""
        tokens, padding = features.tokens[modality][:, 1:], features.padding[modality]
        if padding is None:
            mean = tokens.mean(1)
        else:
            there = (~padding[:, 1:, None]).to(tokens.dtype)
            mean = torch.sum(tokens * there, 1) / there.sum(1)
        return self.linear(self.dropout(self.norm(mean)))  # type: ignore[no-any-return]
