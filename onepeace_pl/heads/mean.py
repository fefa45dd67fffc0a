"""Mean-pooling classification head, as fine-tuned for image classification.

Shapes: B batch, L tokens with CLS at index 0, D width, C outputs.

Source: docs/reference/tasks.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Features

INIT_STD = 0.02 * 0.001


class MeanPoolingHead(nn.Module):
    """Mean of all tokens but CLS and padding, LayerNorm, linear layer initialised close to zero.

    For forward passes that stop after the blocks, without final norms.

    Args:
        width: Size D of a token.
        outputs: Number C of outputs.
        dropout: Dropout before the linear layer.
    """

    def __init__(self, width: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the module's own parameters in place."""
        nn.init.normal_(self.linear.weight, std=INIT_STD)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Features, modality: str) -> Tensor:
        """Return logits (B, C) from a modality's tokens."""
        tokens, padding = features.tokens[modality][:, 1:], features.padding[modality]
        if padding is None:
            mean = tokens.mean(1)
        else:
            valid = (~padding[:, 1:, None]).to(tokens.dtype)
            mean = torch.sum(tokens * valid, 1) / valid.sum(1)
        logits: Tensor = self.linear(self.dropout(self.norm(mean)))
        return logits
