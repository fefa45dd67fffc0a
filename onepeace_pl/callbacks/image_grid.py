"""Image grids. Shapes: H and W height and width of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from onepeace_pl.callbacks.interfaces import ImageArray
from onepeace_pl.utils.files import replacing

GAP, COLUMNS, SMALLEST = 6, 2, 160  # pixels, images, pixels


def write_image_grids(images: Mapping[str, Sequence[ImageArray]], path: Path) -> None:
    """Write images (H, W, 3) as one PNG, a grid for each name."""
    grids = [image_grid(few) for few in images.values() if few]
    with replacing(path) as new:
        Image.fromarray(_below(grids)).save(new)


def image_grid(images: Sequence[ImageArray]) -> ImageArray:
    """Arrange images (H, W, 3) in a grid; small ones are enlarged by whole factors."""
    large = [_enlarged(image) for image in images]
    rows = [_beside(large[start : start + COLUMNS]) for start in range(0, len(large), COLUMNS)]
    return _below(rows)


def _enlarged(image: ImageArray) -> ImageArray:
    times = max(1, SMALLEST // image.shape[0])
    return image.repeat(times, 0).repeat(times, 1)


def _beside(images: Sequence[ImageArray]) -> ImageArray:
    return _below([image.transpose(1, 0, 2) for image in images]).transpose(1, 0, 2)


def _below(images: Sequence[ImageArray]) -> ImageArray:
    width = max(image.shape[1] for image in images)
    height = sum(image.shape[0] for image in images) + GAP * (len(images) - 1)
    canvas: ImageArray = np.full((height, width, 3), 255, dtype=np.uint8)
    top = 0
    for image in images:
        canvas[top : top + image.shape[0], : image.shape[1]] = image
        top += image.shape[0] + GAP
    return canvas
