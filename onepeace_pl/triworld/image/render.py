"""The picture of a scene: antialiased, lit, shaded objects on textured ground."""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.image.sprites import Pixels, Stamp, coverage, on_picture, stamp
from onepeace_pl.triworld.image.textures import EXTENT, canvas
from onepeace_pl.triworld.world.pinned import direction
from onepeace_pl.triworld.world.scene import Scene, SceneObject

SMALLEST: Final = 48
PALETTE: Final[dict[str, tuple[int, int, int]]] = {
    "red": (218, 36, 40),
    "orange": (246, 134, 24),
    "yellow": (250, 218, 46),
    "green": (40, 178, 72),
    "blue": (38, 92, 226),
    "purple": (142, 54, 190),
    "pink": (250, 132, 190),
    "white": (240, 240, 236),
}
_INK: Final = np.array([22, 18, 26], dtype=np.float32)
_IVORY: Final = np.array([255, 250, 232], dtype=np.float32)
_IVORY_ON_WHITE: Final = np.array([196, 206, 224], dtype=np.float32)
_ONE: Final = np.float32(1)


@cache
def _axis(size: int) -> Pixels:
    """Return pixel centres from -1 to 1."""
    return ((np.arange(size) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)


def ground(scene: Scene, size: int) -> Pixels:
    """Return the lit background, (size, size, 3) in 0..255."""
    free = (EXTENT - 1) * size
    left, top = int(scene.texture[0] * free), int(scene.texture[1] * free)
    piece = canvas(scene.background, size)[top : top + size, left : left + size]
    cos, sin = direction(scene.light)
    axis = _axis(size)
    lit = np.float32(scene.brightness) - np.float32(0.14 * scene.brightness) * (
        axis[None, :] * np.float32(cos) + axis[:, None] * np.float32(sin)
    )
    return piece * lit[..., None]


def _cast_shadow(pixels: Pixels, window: Stamp, size: int, light: tuple[float, float], radius: float) -> None:
    away = 0.16 * radius
    soft = 0.16 * radius + 1.0
    moved = Stamp(
        top=window.top + int(np.floor(light[1] * away + 0.5)),
        left=window.left + int(np.floor(light[0] * away + 0.5)),
        distance=window.distance,
        tone=window.tone,
        normal=window.normal,
    )
    overlap = on_picture(moved, size)
    if overlap is None:
        return
    rows, columns, inner_rows, inner_columns = overlap
    depth = window.distance[inner_rows, inner_columns] * np.float32(-0.5 / soft) + np.float32(0.5)
    shadow = np.minimum(np.maximum(depth, np.float32(0)), _ONE) * np.float32(0.5)
    pixels[rows, columns] *= (_ONE - shadow)[..., None]


def _paint(
    pixels: Pixels, thing: SceneObject, window: Stamp, scene: Scene, light: tuple[float, float]
) -> None:
    size = pixels.shape[0]
    overlap = on_picture(window, size)
    if overlap is None:
        return
    rows, columns, inner_rows, inner_columns = overlap
    inner = (inner_rows, inner_columns)
    distance, tone = window.distance[inner], window.tone[inner]
    # The light travels along (cos, sin), so surfaces that face against it are bright.
    facing = window.normal[0][inner] * np.float32(-light[0]) + window.normal[1][inner] * np.float32(-light[1])
    lit = np.float32(scene.brightness * thing.shade) * (_ONE + np.float32(0.3) * facing)
    rim_width = max(0.07 * thing.radius * size, 0.8)
    rim = np.minimum(np.maximum(distance * np.float32(1.0 / rim_width) + _ONE, np.float32(0)), _ONE)

    base = np.array(PALETTE[thing.colour], dtype=np.float32)
    bright = np.maximum(tone, np.float32(0))[..., None]
    dark = np.maximum(np.maximum(-tone, np.float32(0.62) * rim), np.float32(0))[..., None]
    ivory = _IVORY_ON_WHITE if thing.colour == "white" else _IVORY
    colour = (base + (ivory - base) * bright) * lit[..., None]
    colour += (_INK - colour) * dark
    target = pixels[rows, columns]
    target += (colour - target) * coverage(distance)[..., None]


def paint(scene: Scene, size: int, stamps: Sequence[Stamp]) -> npt.NDArray[np.uint8]:
    """Return the picture with the objects where their stamps lie, the farthest first."""
    light = direction(scene.light)
    pixels = ground(scene, size)
    for thing, window in sorted(
        zip(scene.objects, stamps, strict=True), key=lambda pair: pair[0].distance, reverse=True
    ):
        _cast_shadow(pixels, window, size, light, thing.radius * size)
        _paint(pixels, thing, window, scene, light)
    result: npt.NDArray[np.uint8] = np.minimum(pixels + np.float32(0.5), np.float32(255)).astype(np.uint8)
    return result


def check_size(size: int) -> None:
    """Raise ValueError where silhouettes could no longer be told apart."""
    if size < SMALLEST:
        raise ValueError(f"picture size {size}: TriWorld's pictures need {SMALLEST} pixels or more a side")


def render(scene: Scene, size: int = 64) -> npt.NDArray[np.uint8]:
    """Return the picture of a scene.

    Args:
        scene: What to draw.
        size: Side in pixels, 48 or more.

    Returns:
        RGB, (size, size, 3).

    Raises:
        ValueError: ``size`` is under 48.
    """
    check_size(size)
    return paint(scene, size, [stamp(thing, size) for thing in scene.objects])
