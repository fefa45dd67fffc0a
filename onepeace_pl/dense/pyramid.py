"""A feature pyramid from the one map of a vision transformer (ViTDet, arXiv 2203.16527; spec: tasks, section 14).

Shapes: B batch, D width, C channels of the pyramid, h and w patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.modalities.image import ChannelNorm


def rescaling(width: int, scale: float, norm: bool = True) -> nn.Sequential:
    """Return layers that change a map's size by 4, 2, 1 or 0.5, and how many channels they leave: D / 4, D / 2, D, D.

    Args:
        width: D.
        scale: Size of the result by that of the map.
        norm: LayerNorm and GELU between the two steps of 4, as ViTDet has them; else the steps alone.

    Raises:
        ValueError: Another scale.
    """
    if scale == 4:
        between = [ChannelNorm(width // 2), nn.GELU()] if norm else []
        return nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2),
            *between,
            nn.ConvTranspose2d(width // 2, width // 4, 2, 2),
        )
    if scale == 2:
        return nn.Sequential(nn.ConvTranspose2d(width, width // 2, 2, 2))
    if scale == 1:
        return nn.Sequential()
    if scale == 0.5:
        return nn.Sequential(nn.MaxPool2d(2, 2, ceil_mode=True))
    raise ValueError(f"a pyramid has the scales 4, 2, 1 and 0.5, not {scale}")


def channels_of(width: int, scale: float) -> int:
    """Return the channels that ``rescaling`` leaves."""
    return int(width / scale) if scale > 1 else width


class SimplePyramid(nn.Module):
    """Maps of several sizes, each made of the last map alone.

    Args:
        width: D.
        channels: C.
        scales: Sizes by that of the map.
        extra: Further maps, each half of the one before.
    """

    def __init__(
        self, width: int, channels: int = 256, scales: Sequence[float] = (4, 2, 1, 0.5), extra: int = 1
    ) -> None:
        super().__init__()
        self.extra = extra
        self.levels = nn.ModuleList(
            nn.Sequential(
                *rescaling(width, scale),
                nn.Conv2d(channels_of(width, scale), channels, 1, bias=False),
                ChannelNorm(channels),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                ChannelNorm(channels),
            )
            for scale in scales
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, D, h, w) -> maps (B, C, ...), the largest first."""
        maps = [level(image) for level in self.levels]
        for _ in range(self.extra):
            maps.append(F.max_pool2d(maps[-1], 1, 2))
        return maps
