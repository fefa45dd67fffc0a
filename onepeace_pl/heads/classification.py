"""Classification head: attention (or CLS) pooling and an MLP, for classification and regression.

Shapes: B batch, L tokens with CLS at index 0, D width, H heads, K head size, C outputs, N forward passes.

Source: arXiv 2305.11172, section 3.4; docs/reference/tasks.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Features
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.init import reset_linear_, truncated_normal_


class AttentionPooling(nn.Module):
    """Multi-head attention pooling with learned queries. Scores are not scaled; their softmax is in float32.

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


class ClassificationHead(nn.Module):
    """Pooling of one modality's tokens, in one or more forward passes, and an MLP classifier.

    Args:
        config: Config of the encoder.
        outputs: Number C of outputs.
        attention_pooling: Attention pooling of all tokens but CLS, with a LayerNorm; otherwise the CLS token.
        pooler: Add a dense layer with tanh after pooling (VQA).
        passes: Number N of forward passes whose pooled vectors are concatenated (two images: 2).
        scale: Hidden width of the classifier, as a multiple of D.
        dropout: Dropout before and after the pooler.
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
        """Return logits (B, C) from a modality's tokens in each forward pass."""
        several = [passes] if isinstance(passes, Features) else passes
        pooled = [self.pool(each.tokens[modality], each.padding[modality]) for each in several]
        x: Tensor = self.classifier(pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=-1))
        return x

    def pool(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """Pool tokens (B, L, D) with padding (B, L) or None -> (B, D)."""
        if self.pooling is None or self.norm is None:
            pooled = tokens[:, 0]
        else:
            pooled = self.norm(self.pooling(tokens[:, 1:], None if padding is None else padding[:, 1:]))
        output: Tensor = self.pooler(pooled)
        return output
