"""Words (spec: model, section 2.1).

Shapes: B batch, L tokens with the summary at index 0, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onepeace_pl.modalities.adapter import SequenceAdapter
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.init import truncated_normal_

PAD = 1  # id of the padding token; 2 ends a text


class TextAdapter(SequenceAdapter):
    """Token embeddings and learnt positions.

    Args:
        config: Width, heads and switches of the encoder.
        vocabulary: Number of token ids.
        buckets: Relative position buckets in one direction.
        max_tokens: Longest text with summary and end token.
        embedding_norm: LayerNorm on the embeddings before positions are added.
        shrink: Share of the gradient that reaches the embeddings.
        types: 1 for the type embedding of NLVR2.
    """

    decoder_unused = ("summary",)

    def __init__(
        self,
        config: TransformerConfig,
        vocabulary: int = 50264,
        buckets: int = 256,
        max_tokens: int = 514,
        embedding_norm: bool = False,
        shrink: float = 1.0,
        types: int = 0,
    ) -> None:
        super().__init__(config, max_tokens, buckets, embedding_norm, shrink, types)
        self.vocabulary = vocabulary
        self.token_table = nn.Parameter(torch.empty(vocabulary, config.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        super().reset_parameters()
        truncated_normal_(self.token_table, self.config.init_std)
        with torch.no_grad():
            self.token_table[PAD].zero_()

    def stem(self, values: Tensor) -> Tensor:
        """Token ids (B, L - 1) -> (B, L - 1, D)."""
        return nn.functional.embedding(values, self.token_table, padding_idx=PAD)
