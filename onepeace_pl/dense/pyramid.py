"""Feature pyramids from the maps of a plain vision transformer (arXiv 2203.16527; spec: tasks, section 14).

Shapes: B batch, D width, C channels of the pyramid, h and w patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.dense.branch import DenseBranch, quarters
from onepeace_pl.modalities.image.adapter import ChannelNorm
from onepeace_pl.nn import TransformerConfig


def rescaling(width: int, scale: float) -> nn.Sequential:
    """Return layers that change a map's size by 4, 2, 1 or 0.5; ``channels_of`` tells what they leave.

    Args:
        width: D.
        scale: Size of the result by that of the map.

    Raises:
        ValueError: Another scale.
    """
    if scale == 4:
        return nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2),
            ChannelNorm(width // 2),
            nn.GELU(),
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


class BlockPyramid(nn.Module):
    """Maps of a quarter to a thirty-second of the picture, each from a block of its own: what UPerNet wants of a ViT.

    Args:
        config: Of the encoder.
        blocks: Numbers of four blocks; None takes the last of each quarter.
        window: Side of the windows that attention looks at, in patches; 0 looks everywhere.
        global_blocks: Numbers of the blocks that look everywhere all the same.
        modality: Name of the picture adapter.

    Attributes:
        channels: Of each map.
    """

    def __init__(
        self,
        config: TransformerConfig,
        blocks: Sequence[int] | None = None,
        window: int = 0,
        global_blocks: Sequence[int] = (),
        modality: str = "image",
    ) -> None:
        super().__init__()
        self.blocks = tuple(blocks or (stop - 1 for stop in quarters(config.depth)))
        known = all(number in range(config.depth) for number in self.blocks)
        if len(self.blocks) != 4 or not known or list(self.blocks) != sorted(self.blocks):
            raise ValueError(
                f"blocks {list(self.blocks)}: give four of the numbers 0 to {config.depth - 1}, ascending"
            )
        stop = self.blocks[-1] + 1
        self.branch = DenseBranch(
            config, window, global_blocks, summary=not window, modality=modality, stop=stop
        )
        self.rescale = nn.ModuleList(rescaling(config.width, scale) for scale in (4, 2, 1, 0.5))
        self.channels = [channels_of(config.width, scale) for scale in (4, 2, 1, 0.5)]

    def forward(self, encoder: Encoder, pictures: Tensor) -> list[Tensor]:
        """(B, 3, 16 h, 16 w) -> maps, the largest first."""
        maps = self.branch.features(encoder, pictures, self.blocks)
        return [change(image) for change, image in zip(self.rescale, maps, strict=True)]


class SimplePyramid(nn.Module):
    """Maps of several sizes, each made of what the last block says: what detectors want of a ViT (ViTDet).

    Args:
        config: Of the encoder.
        channels: C.
        scales: Sizes by that of the patches' grid.
        extra: Further maps, each half of the one before.
        window: Side of the windows that attention looks at, in patches; 0 looks everywhere.
        global_blocks: Numbers of the blocks that look everywhere all the same.
        decomposed: See :class:`~onepeace_pl.dense.branch.DenseBranch`.
        modality: Name of the picture adapter.

    Attributes:
        channels: Of each map.
    """

    def __init__(
        self,
        config: TransformerConfig,
        channels: int = 256,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        extra: int = 1,
        window: int = 0,
        global_blocks: Sequence[int] = (),
        decomposed: int = 0,
        modality: str = "image",
    ) -> None:
        super().__init__()
        self.extra, self.channels, width = extra, [channels] * (len(scales) + extra), config.width
        self.branch = DenseBranch(config, window, global_blocks, decomposed, False, modality)
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

    def forward(self, encoder: Encoder, pictures: Tensor) -> list[Tensor]:
        """(B, 3, 16 h, 16 w) -> maps (B, C, ...), the largest first."""
        (image,) = self.branch.features(encoder, pictures, [len(encoder.transformer.blocks) - 1])
        maps = [level(image) for level in self.levels]
        for _ in range(self.extra):
            maps.append(F.max_pool2d(maps[-1], 1, 2))
        return maps
