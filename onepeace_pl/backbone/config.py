"""Sizes of the decoder."""

from __future__ import annotations

from dataclasses import dataclass

from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.presets import preset_sizes


@dataclass(frozen=True)
class DecoderConfig:
    """The decoder of the denoising objective. Sizes that are left out are those of the encoder's preset.

    Attributes:
        depth: Number of blocks; 0 for no decoder.
        width: Size of a token.
        heads: Attention heads.
        feed_forward: Inner size of a feed-forward.
        hide_padding: Keep attention from padded tokens. The original's decoder attends to them; set False for its
            numbers to the last digit.
    """

    depth: int | None = None
    width: int | None = None
    heads: int | None = None
    feed_forward: int | None = None
    hide_padding: bool = True

    def resolve(self, encoder: TransformerConfig) -> TransformerConfig | None:
        """Return the decoder's transformer; None without a decoder.

        Switches are the encoder's, but there is neither position bias, layer scale nor drop path in a decoder.
        """
        sizes = preset_sizes(encoder.preset)
        depth = sizes.decoder_depth if self.depth is None else self.depth
        if depth == 0:
            return None
        return TransformerConfig(
            encoder.preset,
            width=sizes.decoder_width if self.width is None else self.width,
            depth=depth,
            heads=sizes.decoder_heads if self.heads is None else self.heads,
            feed_forward=sizes.decoder_feed_forward if self.feed_forward is None else self.feed_forward,
            layer_scale=0.0,
            init_std=encoder.init_std,
            sub_norm=encoder.sub_norm,
            feed_forward_norm=encoder.feed_forward_norm,
            position_bias=False,
            share_attention=encoder.share_attention,
            share_feed_forward=encoder.share_feed_forward,
            activation_checkpointing=encoder.activation_checkpointing,
        )
