"""The original's head for everything that is classified or regressed (spec: tasks, section 2).

Shapes: B batch, L tokens with the summary at index 0, D width, C outputs, N passes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Features
from onepeace_pl.heads.pooling import AttentionPooling
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.init import reset_linear_


class ClassifyHead(nn.Module):
    """Pools the tokens of one modality, in one or more passes, and classifies what was pooled.

    Args:
        config: The encoder's sizes.
        outputs: Number C of outputs.
        attention_pooling: Pool all tokens but the summary by attention, then normalise; otherwise take the
            summary as it is.
        pooler: A dense layer with tanh behind the pooling (VQA).
        passes: Passes N whose pooled vectors are put side by side (two pictures: 2).
        scale: Inner width of the classifier, in widths of the encoder.
        dropout: Before and after the pooler.
    """

    def __init__(
        self,
        config: TransformerConfig,
        outputs: int,
        attention_pooling: bool = True,
        pooler: bool = False,
        passes: int = 1,
        scale: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = config.width
        self.std = config.init_std
        self.pooling = AttentionPooling(width, config.heads, config.init_std) if attention_pooling else None
        self.norm = nn.LayerNorm(width) if attention_pooling else None
        self.pooler = (
            nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width), nn.Tanh(), nn.Dropout(dropout))
            if pooler
            else nn.Identity()
        )
        self.classifier = nn.Sequential(
            nn.Linear(passes * width, scale * width),
            nn.LayerNorm(scale * width),
            nn.GELU(),
            nn.Linear(scale * width, outputs),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        for layer in (*self.pooler.children(), *self.classifier):
            if isinstance(layer, nn.Linear):
                reset_linear_(layer, self.std)

    def forward(self, passes: Features | Sequence[Features], modality: str) -> Tensor:
        """Return (B, C) from the tokens of a modality in each pass."""
        several = [passes] if isinstance(passes, Features) else passes
        pooled = [self.pool(each.tokens[modality], each.padding[modality]) for each in several]
        x: Tensor = self.classifier(pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=-1))
        return x

    def pool(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """Pool tokens (B, L, D) with padding (B, L) or None -> (B, D)."""
        if self.pooling is None or self.norm is None:
            return self.pooler(tokens[:, 0])  # type: ignore[no-any-return]
        padding = None if padding is None else padding[:, 1:]
        return self.pooler(self.norm(self.pooling(tokens[:, 1:], padding)))  # type: ignore[no-any-return]
