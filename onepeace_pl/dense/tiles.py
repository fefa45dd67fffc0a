"""Square tiles that cover a picture, for pictures too large to be looked at as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product


def check_tiles(tile: int | None, stride: int | None, divisor: int) -> None:
    """Refuse tiles that do not fit the maps, or that leave pixels out.

    Args:
        tile: Side of a tile; None for whole pictures.
        stride: From tile to tile; None for the side.
        divisor: What the side must be a multiple of.
    """
    if tile is not None and (tile <= 0 or tile % divisor):
        raise ValueError(f"tile={tile} must be a multiple of {divisor} pixels")
    if stride is not None and not 0 < stride <= (tile or 0):
        raise ValueError(f"stride={stride} must be at most the tile's side, or pixels are left out")


def tiles(height: int, width: int, side: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield top and left of square tiles that cover a picture; the last ones end at its far edges."""

    def starts(length: int) -> list[int]:
        beyond = max(length - side, 0)
        return [min(number * stride, beyond) for number in range(-(-beyond // stride) + 1)]

    yield from product(starts(height), starts(width))
