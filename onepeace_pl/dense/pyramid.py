"""Feature pyramids (FPN) of a plain vision transformer (ViTDet, arXiv 2203.16527; docs/reference/tasks.md).

Shapes: B batch, D width, C channels of the pyramid, h and w patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.dense.branch import DenseBranch, stage_ends
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.adapter import ChannelNorm
from onepeace_pl.nn import TransformerConfig


def rescale_layers(width: int, scale: float) -> nn.Sequential:
    """Return layers that rescale a feature map by 4, 2, 1 or 0.5 to ``rescaled_width`` channels.

    Args:
        width: D.
        scale: Scale factor.

    Raises:
        UserError: Another scale.
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
    raise UserError(f"a pyramid has the scales 4, 2, 1 and 0.5, not {scale}")


def rescaled_width(width: int, scale: float) -> int:
    """Return the number of channels of ``rescale_layers``."""
    return int(width / scale) if scale > 1 else width


class BlockFeaturePyramid(nn.Module):
    """Feature pyramid of four blocks of a ViT, rescaled to strides 4 to 32, as UPerNet needs.

    Args:
        config: Config of the encoder.
        out_indices: Indices of four blocks; None takes the last of each quarter.
        window_size: Side of attention windows, in patches; 0 for global attention.
        global_blocks: Indices of blocks with global attention.
        modality: Name of the image adapter.

    Attributes:
        channels: Channels of each map.
    """

    def __init__(
        self,
        config: TransformerConfig,
        out_indices: Sequence[int] | None = None,
        window_size: int = 0,
        global_blocks: Sequence[int] = (),
        modality: str = "image",
    ) -> None:
        super().__init__()
        self.out_indices = tuple(out_indices or (stop - 1 for stop in stage_ends(config.depth)))
        known = all(number in range(config.depth) for number in self.out_indices)
        if len(self.out_indices) != 4 or not known or list(self.out_indices) != sorted(self.out_indices):
            raise UserError(
                f"out_indices {list(self.out_indices)}: give four of the numbers 0 to {config.depth - 1}, ascending"
            )
        self.branch = DenseBranch(
            config,
            window_size,
            global_blocks,
            cls_token=not window_size,
            modality=modality,
            num_blocks=self.out_indices[-1] + 1,
        )
        self.rescale = nn.ModuleList(rescale_layers(config.width, scale) for scale in (4, 2, 1, 0.5))
        self.channels = [rescaled_width(config.width, scale) for scale in (4, 2, 1, 0.5)]

    def forward(self, encoder: Encoder, images: Tensor) -> list[Tensor]:
        """(B, 3, 16 h, 16 w) -> feature maps, from the highest resolution down."""
        maps = self.branch.features(encoder, images, self.out_indices)
        return [rescale(each) for rescale, each in zip(self.rescale, maps, strict=True)]


class SimpleFeaturePyramid(nn.Module):
    """Simple feature pyramid of ViTDet: the last block's feature map at several scales, for detectors.

    Args:
        config: Config of the encoder.
        channels: C.
        scales: Scale factors of the patch grid.
        extra_levels: Further levels, each of half the resolution (max pooling).
        window_size: Side of attention windows, in patches; 0 for global attention.
        global_blocks: Indices of blocks with global attention.
        rel_pos_size: See :class:`~onepeace_pl.dense.branch.DenseBranch`.
        modality: Name of the image adapter.

    Attributes:
        channels: Channels of each map.
    """

    def __init__(
        self,
        config: TransformerConfig,
        channels: int = 256,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        extra_levels: int = 1,
        window_size: int = 0,
        global_blocks: Sequence[int] = (),
        rel_pos_size: int = 0,
        modality: str = "image",
    ) -> None:
        super().__init__()
        self.extra_levels, width = extra_levels, config.width
        self.channels = [channels] * (len(scales) + extra_levels)
        self.branch = DenseBranch(config, window_size, global_blocks, rel_pos_size, False, modality)
        self.levels = nn.ModuleList(
            nn.Sequential(
                *rescale_layers(width, scale),
                nn.Conv2d(rescaled_width(width, scale), channels, 1, bias=False),
                ChannelNorm(channels),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                ChannelNorm(channels),
            )
            for scale in scales
        )

    def forward(self, encoder: Encoder, images: Tensor) -> list[Tensor]:
        """(B, 3, 16 h, 16 w) -> feature maps (B, C, ...), from the highest resolution down."""
        (feature_map,) = self.branch.features(encoder, images, [len(encoder.transformer.blocks) - 1])
        maps = [level(feature_map) for level in self.levels]
        for _ in range(self.extra_levels):
            maps.append(F.max_pool2d(maps[-1], 1, 2))
        return maps
