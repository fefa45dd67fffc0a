"""Classifier of video clips (docs/reference/tasks.md).

Shapes: B clips, T frames, L tokens of a frame with the CLS token at index 0, D width, C classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.init import reset_linear_


class ClipHead(nn.Module):
    """Norm of each frame's CLS token -> mean over frames -> dropout -> linear.

    Args:
        config: The encoder's sizes.
        outputs: Number C of classes.
        dropout: Dropout before the linear layer.
    """

    def __init__(self, config: TransformerConfig, outputs: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.std = config.init_std
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(config.width, outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        reset_linear_(self.linear, self.std)

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        """(B T, L, D) without final norm -> (B, C)."""
        summaries = self.norm(tokens[:, 0]).unflatten(0, (-1, frames))
        logits: Tensor = self.linear(self.dropout(summaries.mean(1)))
        return logits
