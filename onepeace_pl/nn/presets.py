"""Transformer sizes by preset.

``4b`` is the released model (paper, table 1). ``tiny`` learns TriWorld in minutes on two CPU cores; its
linear layers start larger and its layer scale higher than the original's, whose values want long schedules.
"""

from __future__ import annotations

from dataclasses import dataclass

from onepeace_pl.errors import UserError, nearest


@dataclass(frozen=True)
class Sizes:
    """Encoder and decoder of one preset."""

    width: int
    depth: int
    heads: int
    feed_forward: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    decoder_feed_forward: int
    layer_scale: float = 1e-6
    init_std: float = 0.02


PRESETS: dict[str, Sizes] = {
    #                width depth heads   ff   | decoder
    "debug": Sizes(32, 2, 2, 64, 32, 1, 2, 64, layer_scale=1e-2, init_std=0.09),
    "tiny": Sizes(128, 3, 4, 256, 64, 1, 2, 128, layer_scale=3e-2, init_std=0.09),
    "small": Sizes(384, 12, 6, 1536, 192, 2, 3, 512, layer_scale=1e-2),
    "base": Sizes(768, 12, 12, 3072, 384, 2, 6, 1024, layer_scale=1e-2),
    "large": Sizes(1024, 24, 16, 4096, 512, 2, 8, 1365, layer_scale=1e-4),
    "4b": Sizes(1536, 40, 24, 6144, 768, 2, 12, 2048),
}


def preset_sizes(name: str) -> Sizes:
    """Return the sizes of a preset, or raise a UserError with the nearest name."""
    if name in PRESETS:
        return PRESETS[name]
    raise UserError(f"no preset {name!r}; {nearest(name, PRESETS)}")
