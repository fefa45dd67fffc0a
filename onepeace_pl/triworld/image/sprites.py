"""Silhouettes baked into tables, from which they are sampled at any turn, place and size.

A table holds four channels on a square grid over [-SPAN, SPAN]: distance to the outline, tone, and the two
components of the bevel's normal. Tables come in several resolutions, so that details stay antialiased.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.image.shapes import either
from onepeace_pl.triworld.image.silhouettes import SILHOUETTES
from onepeace_pl.triworld.world.pinned import direction
from onepeace_pl.triworld.world.scene import SceneObject

SPAN: Final = 1.3
_LEVELS: Final = (32, 64, 128, 256, 512)
_BEVEL: Final = 0.4

Pixels = npt.NDArray[np.float32]


@cache
def _table(kind: str, resolution: int) -> Pixels:
    """Return (resolution ** 2, 4): distance, tone, normal right, normal down."""
    axis = (np.arange(resolution) + 0.5) * (2.0 * SPAN / resolution) - SPAN
    u = np.broadcast_to(axis[None, :], (resolution, resolution))
    v = np.broadcast_to(axis[:, None], (resolution, resolution))
    parts = SILHOUETTES[kind](u, v)
    pixel = 2.0 * SPAN / resolution
    tone = np.zeros((resolution, resolution))
    for distance, level in parts:
        cover = np.clip(0.5 - distance / pixel, 0.0, 1.0)
        line = np.clip(1.0 - np.abs(distance) / (0.018 + 0.6 * pixel), 0.0, 1.0) * 0.45
        tone = tone * (1.0 - cover) + level * cover
        tone = tone * (1.0 - line) - 0.9 * line
    outline = either(*(distance for distance, _ in parts))
    slope_u, slope_v = np.zeros_like(outline), np.zeros_like(outline)
    slope_u[:, 1:-1] = (outline[:, 2:] - outline[:, :-2]) * (0.5 / pixel)
    slope_v[1:-1, :] = (outline[2:, :] - outline[:-2, :]) * (0.5 / pixel)
    edge = np.clip(1.0 + outline * (1.0 / _BEVEL), 0.0, 1.0)
    table = np.stack([outline, tone, slope_u * edge, slope_v * edge], axis=-1)
    return table.reshape(-1, 4).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stamp:
    """One object sampled on the pixels of a picture.

    Attributes:
        top: First row of the window (it may lie outside of the picture, as may the window's other sides).
        left: First column of the window.
        distance: (h, w) signed distance to the outline, in pixels.
        tone: (h, w) from -1 dark to +1 ivory.
        normal: Two (h, w) components of the surface normal, to the right and down.
    """

    top: int
    left: int
    distance: Pixels
    tone: Pixels
    normal: tuple[Pixels, Pixels]


def stamp(thing: SceneObject, size: int, shift: tuple[float, float] = (0.0, 0.0)) -> Stamp:
    """Sample an object for a picture of ``size`` pixels, moved by a share of the picture (right, down)."""
    radius = thing.radius * size
    centre_x, centre_y = (thing.x + shift[0]) * size, (thing.y + shift[1]) * size
    reach = radius * 1.2 + 1.0
    left, top = int(np.floor(centre_x - reach)), int(np.floor(centre_y - reach))
    width = int(np.ceil(centre_x + reach)) - left
    height = int(np.ceil(centre_y + reach)) - top

    cos, sin = direction(thing.tilt)
    flip = -1.0 if thing.mirrored else 1.0
    across = ((np.arange(width) + (left + 0.5 - centre_x)) / radius).astype(np.float32)[None, :]
    down = ((np.arange(height) + (top + 0.5 - centre_y)) / radius).astype(np.float32)[:, None]
    wide, tall = thing.stretch, 1.0 / thing.stretch
    u = across * np.float32(flip * cos / wide) + down * np.float32(flip * sin / wide)
    v = down * np.float32(cos / tall) - across * np.float32(sin / tall)

    resolution = next((level for level in _LEVELS if level >= 2.0 * SPAN * radius), _LEVELS[-1])
    scale = np.float32(resolution / (2.0 * SPAN))
    limit = np.float32(resolution - 1.001)
    column = np.minimum(np.maximum((u + np.float32(SPAN)) * scale - np.float32(0.5), np.float32(0)), limit)
    row = np.minimum(np.maximum((v + np.float32(SPAN)) * scale - np.float32(0.5), np.float32(0)), limit)
    column_whole, row_whole = column.astype(np.int32), row.astype(np.int32)
    x, y = (column - column_whole)[..., None], (row - row_whole)[..., None]
    base = row_whole * np.int32(resolution) + column_whole
    table = _table(thing.kind, resolution)
    upper = table[base]
    upper += (table[base + 1] - upper) * x
    base += np.int32(resolution)
    lower = table[base]
    lower += (table[base + 1] - lower) * x
    upper += (lower - upper) * y
    right, below = upper[..., 2] * np.float32(flip), upper[..., 3]
    return Stamp(
        top=top,
        left=left,
        distance=upper[..., 0] * np.float32(radius),
        tone=upper[..., 1],
        normal=(
            right * np.float32(cos) - below * np.float32(sin),
            right * np.float32(sin) + below * np.float32(cos),
        ),
    )


def on_picture(window: Stamp, size: int) -> tuple[slice, slice, slice, slice] | None:
    """Return rows and columns of the picture, then of the window, where both overlap; None if nowhere."""
    height, width = window.distance.shape
    top, left = max(window.top, 0), max(window.left, 0)
    bottom, right = min(window.top + height, size), min(window.left + width, size)
    if top >= bottom or left >= right:
        return None
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - window.top, bottom - window.top),
        slice(left - window.left, right - window.left),
    )


def coverage(distance: Pixels) -> Pixels:
    """Return the share of every pixel that lies inside the outline, from distances in pixels."""
    inside: Pixels = np.minimum(np.maximum(np.float32(0.5) - distance, np.float32(0)), np.float32(1))
    return inside
