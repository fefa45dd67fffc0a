"""Tiled (sliding-window) inference: square tiles that cover a large image."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from onepeace_pl.errors import UserError


def check_tiles(tile: int | None, stride: int | None, divisor: int) -> None:
    """Validate tile size and stride.

    Args:
        tile: Side of a tile in pixels; None for whole images.
        stride: Step between tiles; None for the side.
        divisor: The side must be a multiple of it.

    Raises:
        UserError: A tile does not fit the feature maps, or tiles leave pixels out.
    """
    if tile is not None and (tile <= 0 or tile % divisor):
        raise UserError(f"tile={tile} must be a multiple of {divisor} pixels")
    if stride is not None and not 0 < stride <= (tile or 0):
        raise UserError(f"stride={stride} must be at most the tile's side, or tiles leave pixels out")


def tiles(height: int, width: int, side: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield top and left of square tiles that cover an image; the last ones are aligned with its far edges."""

    def starts(length: int) -> list[int]:
        beyond = max(length - side, 0)
        return [min(number * stride, beyond) for number in range(-(-beyond // stride) + 1)]

    yield from product(starts(height), starts(width))
