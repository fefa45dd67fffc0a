"""What all parts of one transformer agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and switches of a stack of blocks; the defaults of the switches are those of the released model.

    Attributes:
        width: Size D of a token.
        depth: Number of blocks.
        heads: Attention heads H; D must be a multiple.
        feed_forward: Inner size F of a feed-forward.
        drop_path: Probability of dropping a branch of the last block, growing linearly from 0 in the first.
        drop_path_mode: ``bernoulli`` draws for each sample and computes all of them (the original's); ``subset``
            computes the branch for a fixed share of the samples only and so saves its cost.
        dropout: On the output of both branches of a block, and on the tokens an adapter makes.
        attention_dropout: On attention probabilities.
        activation_dropout: On the gated product inside a feed-forward.
        sub_norm: LayerNorm over the joined heads before the output projection (``magneto_scale_attn``).
        feed_forward_norm: LayerNorm over the gated product (``scale_fc``).
        out_norm: LayerNorm after the output projection (``scale_attn``).
        scale_heads: A learnt scalar for each head.
        layer_scale: Start of the learnt scale of each branch; 0 leaves the scale out.
        position_bias: Relative position bias on attention logits.
        bias_per_layer: A bias table for every layer instead of one for all (fine-tuning).
        share_attention: One attention for all modalities; else each has its own projections and norms.
        share_feed_forward: One feed-forward for all modalities; else each has its own.
        init_std: Linear layers and embeddings start from a normal of this deviation, truncated at one deviation.
        checkpoint: Recompute each block in the backward pass instead of keeping its activations.
    """

    width: int
    depth: int
    heads: int
    feed_forward: int
    drop_path: float = 0.0
    drop_path_mode: Literal["bernoulli", "subset"] = "bernoulli"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    sub_norm: bool = True
    feed_forward_norm: bool = True
    out_norm: bool = False
    scale_heads: bool = False
    layer_scale: float = 1e-6
    position_bias: bool = True
    bias_per_layer: bool = False
    share_attention: bool = True
    share_feed_forward: bool = False
    init_std: float = 0.02
    checkpoint: bool = False

    def __post_init__(self) -> None:
        if self.width <= 0 or self.heads <= 0 or self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of heads {self.heads}; choose sizes that divide"
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path {self.drop_path} is not in [0, 1)")

    @property
    def bias_tables(self) -> int:
        """Number of bias tables an adapter keeps: one, or one for each layer."""
        return self.depth if self.bias_per_layer else 1
