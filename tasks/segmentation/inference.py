"""Inference of segmentation: whole images or tiles, at several scales, with flips.

Shapes: B batch, C classes, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.dense.tiles import check_tiles, tiles
from onepeace_pl.errors import UserError

Score = Callable[[Tensor], Tensor]  # images (B, 3, H, W) -> scores (B, C, H, W)


@dataclass(frozen=True)
class Inference:
    """Tiles, scales and flips outside training (multi-scale test-time augmentation).

    Attributes:
        tile: Side of square tiles; None takes whole images.
        stride: Pixels from tile to tile; scores of overlapping tiles are averaged.
        scales: Factors of the image size; probabilities are averaged.
        flip: Also average with the mirror image.
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
            raise UserError(f"scales {list(self.scales)} must be one or more numbers above 0")

    def __call__(self, score: Score, images: Tensor) -> Tensor:
        """Return scores (B, C, H, W): as the head gives them, or mean probabilities over scales and flips."""
        if list(self.scales) == [1.0] and not self.flip:
            return self._scores(score, images)
        size = (images.shape[-2], images.shape[-1])
        total: Tensor | None = None
        for scale in self.scales:
            resized = images
            if scale != 1.0:
                sides = [max(1, round(side * scale)) for side in size]
                resized = F.interpolate(images, sides, mode="bilinear", align_corners=False)
            for mirrored in (False, True) if self.flip else (False,):
                scores = self._scores(score, resized.flip(-1) if mirrored else resized)
                scores = scores.flip(-1) if mirrored else scores
                scores = F.interpolate(scores, size, mode="bilinear", align_corners=False).softmax(1)
                total = scores if total is None else total + scores
        assert total is not None
        return total / (len(self.scales) * (2 if self.flip else 1))

    def _scores(self, score: Score, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if self.tile is None:
            padded = F.pad(images, (0, -width % self.divisor, 0, -height % self.divisor))
            return score(padded)[..., :height, :width]
        padded = F.pad(images, (0, max(self.tile - width, 0), 0, max(self.tile - height, 0)))
        total = count = None
        for top, left in tiles(padded.shape[-2], padded.shape[-1], self.tile, self.stride or self.tile):
            part = (..., slice(top, top + self.tile), slice(left, left + self.tile))
            scores = score(padded[part])
            if total is None or count is None:
                total = scores.new_zeros(*scores.shape[:2], *padded.shape[-2:])
                count = scores.new_zeros(1, 1, *padded.shape[-2:])
            total[part] += scores
            count[part] += 1
        assert total is not None
        assert count is not None
        return (total / count)[..., :height, :width]


@torch.no_grad()
def pixel_counts(predicted: Tensor, mask: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Count pixels by class: right, predicted and labelled ones; ignored pixels are left out.

    Args:
        predicted: (H, W) class numbers.
        mask: (H, W) class numbers, 255 at ignored pixels.
        classes: C.

    Returns:
        Three (C,) float64.
    """
    labelled = mask != 255
    predicted, mask = predicted[labelled], mask[labelled]

    def count(numbers: Tensor) -> Tensor:
        return torch.bincount(numbers, minlength=classes).double()

    return count(mask[predicted == mask]), count(predicted), count(mask)
