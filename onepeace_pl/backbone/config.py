"""What a user says of the backbone; sizes left out come from a preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from onepeace_pl.backbone.presets import preset_sizes
from onepeace_pl.nn import TransformerConfig

T = TypeVar("T")


@dataclass(frozen=True)
class TransformerOptions:
    """The encoder: a preset and whatever differs from it. See :class:`onepeace_pl.nn.TransformerConfig`.

    Attributes:
        preset: Name of a row of :data:`onepeace_pl.backbone.presets.PRESETS`.
        width: Size of a token.
        depth: Number of blocks.
        heads: Attention heads.
        feed_forward: Inner size of a feed-forward.
        layer_scale: Start of the learnt scale of each branch; 0 leaves it out.
        init_std: Deviation of linear layers and embeddings at the start.
        drop_path: Probability of dropping a branch of the last block.
        drop_path_mode: ``bernoulli`` or ``subset``.
        dropout: On the output of branches and on tokens.
        attention_dropout: On attention probabilities.
        activation_dropout: Inside a feed-forward.
        sub_norm: LayerNorm over the joined heads.
        feed_forward_norm: LayerNorm over the gated product.
        out_norm: LayerNorm after attention's output projection.
        scale_heads: A learnt scalar for each head.
        position_bias: Relative position bias.
        bias_per_layer: A bias table for every layer.
        share_attention: One attention for all modalities.
        share_feed_forward: One feed-forward for all modalities.
        checkpoint: Recompute blocks in the backward pass.
    """

    preset: str = "tiny"
    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    feed_forward: int | None = None
    layer_scale: float | None = None
    init_std: float | None = None
    drop_path: float = 0.0
    drop_path_mode: Literal["bernoulli", "subset"] = "bernoulli"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    sub_norm: bool = True
    feed_forward_norm: bool = True
    out_norm: bool = False
    scale_heads: bool = False
    position_bias: bool = True
    bias_per_layer: bool = False
    share_attention: bool = True
    share_feed_forward: bool = False
    checkpoint: bool = False

    def resolve(self) -> TransformerConfig:
        """Fill in the preset's sizes."""
        sizes = preset_sizes(self.preset)
        return TransformerConfig(
            width=_or(self.width, sizes.width),
            depth=_or(self.depth, sizes.depth),
            heads=_or(self.heads, sizes.heads),
            feed_forward=_or(self.feed_forward, sizes.feed_forward),
            layer_scale=_or(self.layer_scale, sizes.layer_scale),
            init_std=_or(self.init_std, sizes.init_std),
            drop_path=self.drop_path,
            drop_path_mode=self.drop_path_mode,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            sub_norm=self.sub_norm,
            feed_forward_norm=self.feed_forward_norm,
            out_norm=self.out_norm,
            scale_heads=self.scale_heads,
            position_bias=self.position_bias,
            bias_per_layer=self.bias_per_layer,
            share_attention=self.share_attention,
            share_feed_forward=self.share_feed_forward,
            checkpoint=self.checkpoint,
        )


@dataclass(frozen=True)
class DecoderOptions:
    """The decoder of the denoising objective: sizes left out are the preset's.

    Attributes:
        depth: Number of blocks; 0 leaves the decoder out.
        width: Size of a token.
        heads: Attention heads.
        feed_forward: Inner size of a feed-forward.
        hide_padding: Keep attention from padded tokens. The original's decoder looks at them; set False for its
            numbers to the last digit.
    """

    depth: int | None = None
    width: int | None = None
    heads: int | None = None
    feed_forward: int | None = None
    hide_padding: bool = True

    def resolve(self, encoder: TransformerOptions) -> TransformerConfig | None:
        """Fill in the preset's sizes; None without a decoder. No bias, layer scale or drop path in a decoder."""
        sizes = preset_sizes(encoder.preset)
        depth = _or(self.depth, sizes.decoder_depth)
        if depth == 0:
            return None
        return TransformerConfig(
            width=_or(self.width, sizes.decoder_width),
            depth=depth,
            heads=_or(self.heads, sizes.decoder_heads),
            feed_forward=_or(self.feed_forward, sizes.decoder_feed_forward),
            layer_scale=0.0,
            init_std=_or(encoder.init_std, sizes.init_std),
            sub_norm=encoder.sub_norm,
            feed_forward_norm=encoder.feed_forward_norm,
            position_bias=False,
            share_attention=encoder.share_attention,
            share_feed_forward=encoder.share_feed_forward,
            checkpoint=encoder.checkpoint,
        )


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
