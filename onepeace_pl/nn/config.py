"""Sizes and switches of a transformer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from onepeace_pl.errors import UserError
from onepeace_pl.nn.presets import preset_sizes
from onepeace_pl.utils.json_files import JsonObject


def _preset_value() -> Any:
    """Return a dataclass field that takes the preset's value where it is left out."""
    return field(default=None)


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and switches of a stack of blocks; the defaults of the switches are those of the released model.

    Sizes that are left out are filled in from the preset: ``TransformerConfig("tiny", depth=4)``.

    Attributes:
        preset: Name of a row of :data:`onepeace_pl.nn.presets.PRESETS`.
        width: Size D of a token.
        depth: Number of blocks.
        heads: Attention heads H; D must be a multiple.
        feed_forward: Inner size F of a feed-forward.
        layer_scale: Start of the learned scale of each branch; 0 leaves the scale out.
        init_std: Linear layers and embeddings start from a normal of this deviation, truncated at one deviation.
        drop_path: Probability of dropping a branch of the last block, growing linearly from 0 in the first.
        drop_path_mode: ``bernoulli`` draws for each sample and computes all of them (the original's); ``subset``
            computes the branch for a fixed share of the samples only and so saves its cost.
        dropout: On the output of both branches of a block, and on the tokens an adapter makes.
        attention_dropout: On attention probabilities.
        activation_dropout: On the gated product inside a feed-forward.
        sub_norm: LayerNorm over the joined heads before the output projection (``magneto_scale_attn``).
        feed_forward_norm: LayerNorm over the gated product (``scale_fc``).
        out_norm: LayerNorm after the output projection (``scale_attn``).
        scale_heads: A learned scalar for each head.
        position_bias: Relative position bias on attention logits.
        bias_per_layer: A bias table for every layer instead of one for all (fine-tuning).
        share_attention: One attention for all modalities; else each has its own projections and norms.
        share_feed_forward: One feed-forward for all modalities; else each has its own.
        activation_checkpointing: ``none`` keeps the activations of each block; ``selective`` keeps the outputs of
            matrix products and computes the rest again in the backward pass, ``full`` all of a block; ``auto`` chooses
            the first of them that fits into the device's memory, at the first training step.
    """

    preset: str = field(default="tiny", compare=False)
    width: int = _preset_value()
    depth: int = _preset_value()
    heads: int = _preset_value()
    feed_forward: int = _preset_value()
    layer_scale: float = _preset_value()
    init_std: float = _preset_value()
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
    activation_checkpointing: Literal["none", "selective", "full", "auto"] = "none"

    def __post_init__(self) -> None:
        sizes = preset_sizes(self.preset)
        for name in ("width", "depth", "heads", "feed_forward", "layer_scale", "init_std"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(sizes, name))
        if self.width <= 0 or self.heads <= 0 or self.width % self.heads:
            raise UserError(
                f"width {self.width} is not a multiple of heads {self.heads}; choose sizes that divide"
            )
        if not 0 <= self.drop_path < 1:
            raise UserError(f"drop_path {self.drop_path} is not in [0, 1)")

    @classmethod
    def from_config(cls, options: JsonObject) -> TransformerConfig:
        """Make the config of a model folder; those of earlier versions say ``checkpoint`` for full checkpointing."""
        options = dict(options)
        if "checkpoint" in options:
            options["activation_checkpointing"] = "full" if options.pop("checkpoint") else "none"
        return cls(**options)

    @property
    def bias_tables(self) -> int:
        """Number of bias tables of an adapter: one, or one for each layer."""
        return self.depth if self.bias_per_layer else 1
