"""Spatial prior module: the convolutional stem of ViT-Adapter (arXiv 2205.08534; docs/reference/tasks.md).

Shapes: B batch, D width.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


def convolution(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    """Return a 3 x 3 convolution, batch norm and ReLU."""
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]


class SpatialPrior(nn.Module):
    """Convolutional feature maps of strides 4, 8, 16 and 32.

    Args:
        width: D, channels of each map.
        channels: Channels of the stem; later stages have two and four times as many.
    """

    def __init__(self, width: int, channels: int = 64) -> None:
        super().__init__()
        sizes = [channels, 2 * channels, 4 * channels, 4 * channels]
        first = [*convolution(3, channels, 2), *convolution(channels, channels, 1)]
        first += [*convolution(channels, channels, 1), nn.MaxPool2d(3, 2, 1)]
        steps = [convolution(before, after, 2) for before, after in pairwise(sizes)]
        self.steps = nn.ModuleList(nn.Sequential(*layers) for layers in [first, *steps])
        self.widen = nn.ModuleList(nn.Conv2d(size, width, 1) for size in sizes)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, ...) -> four maps (B, D, ...), from the highest resolution down."""
        x, maps = images, []
        for step, widen in zip(self.steps, self.widen, strict=True):
            x = step(x)
            maps.append(widen(x))
        return maps
