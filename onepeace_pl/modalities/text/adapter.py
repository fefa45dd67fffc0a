"""The text adapter: token embedding and learned positions (paper, section 3.1).

Shapes: B batch, L tokens with the CLS token at index 0, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onepeace_pl.modalities.adapter import SequenceAdapter
from onepeace_pl.modalities.text.processor import TextProcessor
from onepeace_pl.modalities.text.tokenizer import END, PAD
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.init import truncated_normal_

MAX_TOKENS = 70  # of a text, in the released preprocessing
RANDOM_TOKENS = 12


class TextAdapter(SequenceAdapter):
    """Token embeddings and learned positions.

    Args:
        config: Width, heads and switches of the encoder.
        vocabulary: Number of token ids.
        buckets: Relative position buckets in one direction.
        max_tokens: Longest text with CLS and end token.
        embedding_norm: LayerNorm on the embeddings before positions are added.
        shrink: Share of the gradient that reaches the embeddings.
        types: 1 for the type embedding of NLVR2.
    """

    vocabulary: int
    decoder_unused = ("cls_token",)

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

    def random_values(self, batch: int, generator: torch.Generator, share: float = 1.0) -> Tensor:
        """Random token ids (B, K) with the end token."""
        longest = min(RANDOM_TOKENS, (self.max_tokens or RANDOM_TOKENS + 1) - 1)
        length = max(round(share * longest), 2)
        ids = torch.randint(4, self.vocabulary, (batch, length), generator=generator)
        ids[:, -1] = END
        return ids

    def default_processor(self) -> TextProcessor:
        """Preprocessing of the released embedding interface, still without a tokenizer."""
        most = min(MAX_TOKENS, (self.max_tokens or MAX_TOKENS + 2) - 2)  # CLS and end token
        return TextProcessor(None, most, cleaning="lower")
