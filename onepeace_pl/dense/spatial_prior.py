"""What convolutions see of a picture, beside a transformer (ViT-Adapter, arXiv 2205.08534; spec: tasks, section 13).

Shapes: B batch, D width.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


def convolution(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    """Return a convolution of 3 x 3, its norm over the batch, and ReLU."""
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]


class SpatialPrior(nn.Module):
    """Maps of a quarter, an eighth, a sixteenth and a thirty-second of the picture.

    Args:
        width: D of the maps.
        channels: Of the first convolutions; the later ones have twice and four times as many.
    """

    def __init__(self, width: int, channels: int = 64) -> None:
        super().__init__()
        sizes = [channels, 2 * channels, 4 * channels, 4 * channels]
        first = [*convolution(3, channels, 2), *convolution(channels, channels, 1)]
        first += [*convolution(channels, channels, 1), nn.MaxPool2d(3, 2, 1)]
        steps = [convolution(before, after, 2) for before, after in pairwise(sizes)]
        self.steps = nn.ModuleList(nn.Sequential(*layers) for layers in [first, *steps])
        self.widen = nn.ModuleList(nn.Conv2d(size, width, 1) for size in sizes)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, ...) -> four maps (B, D, ...), the largest first."""
        x, maps = pictures, []
        for step, widen in zip(self.steps, self.widen, strict=True):
            x = step(x)
            maps.append(widen(x))
        return maps
