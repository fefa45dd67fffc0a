"""From pictures to scores of all pixels: as a whole, tile by tile, in several sizes.

Shapes: B batch, C classes, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.dense.tiles import check_tiles, tiles

Score = Callable[[Tensor], Tensor]  # pictures (B, 3, H, W) -> scores (B, C, H, W)


@dataclass(frozen=True)
class Inference:
    """How pictures are looked at outside training.

    Attributes:
        tile: Side of square tiles; None looks at whole pictures.
        stride: From tile to tile; what several tiles cover is averaged.
        scales: Sizes in which each picture is looked at; probabilities are averaged.
        flip: Also look at its mirror image.
        divisor: Sides are padded to multiples of it.
    """

    tile: int | None = None
    stride: int | None = None
    scales: Sequence[float] = (1.0,)
    flip: bool = False
    divisor: int = 32

    def __post_init__(self) -> None:
        check_tiles(self.tile, self.stride, self.divisor)
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales {list(self.scales)} must be one or more numbers above 0")

    def __call__(self, score: Score, pictures: Tensor) -> Tensor:
        """Return scores (B, C, H, W): as the head gives them, or mean probabilities of several looks."""
        if list(self.scales) == [1.0] and not self.flip:
            return self._look(score, pictures)
        size = (pictures.shape[-2], pictures.shape[-1])
        total: Tensor | None = None
        for scale in self.scales:
            resized = pictures
            if scale != 1.0:
                sides = [max(1, round(side * scale)) for side in size]
                resized = F.interpolate(pictures, sides, mode="bilinear", align_corners=False)
            for mirrored in (False, True) if self.flip else (False,):
                seen = self._look(score, resized.flip(-1) if mirrored else resized)
                seen = seen.flip(-1) if mirrored else seen
                seen = F.interpolate(seen, size, mode="bilinear", align_corners=False).softmax(1)
                total = seen if total is None else total + seen
        assert total is not None
        return total / (len(self.scales) * (2 if self.flip else 1))

    def _look(self, score: Score, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        if self.tile is None:
            padded = F.pad(pictures, (0, -width % self.divisor, 0, -height % self.divisor))
            return score(padded)[..., :height, :width]
        padded = F.pad(pictures, (0, max(self.tile - width, 0), 0, max(self.tile - height, 0)))
        total = count = None
        for top, left in tiles(padded.shape[-2], padded.shape[-1], self.tile, self.stride or self.tile):
            part = (..., slice(top, top + self.tile), slice(left, left + self.tile))
            seen = score(padded[part])
            if total is None or count is None:
                total = seen.new_zeros(*seen.shape[:2], *padded.shape[-2:])
                count = seen.new_zeros(1, 1, *padded.shape[-2:])
            total[part] += seen
            count[part] += 1
        assert total is not None
        assert count is not None
        return (total / count)[..., :height, :width]


@torch.no_grad()
def counts(found: Tensor, mask: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Count pixels by class: right ones, those found, those labelled; ignored ones are in none.

    Args:
        found: (H, W) class numbers.
        mask: (H, W) class numbers, 255 where nothing is measured.
        classes: C.

    Returns:
        Three (C,) float64.
    """
    measured = mask != 255
    found, mask = found[measured], mask[measured]

    def count(numbers: Tensor) -> Tensor:
        return torch.bincount(numbers, minlength=classes).double()

    return count(mask[found == mask]), count(found), count(mask)
