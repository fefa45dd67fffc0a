"""Image and video renderer: antialiased, lit, shaded sprites on textured backgrounds.

Drawings are baked into sprite tables, from which they are sampled at any rotation, position and size. A table holds
four channels on a square grid over [-SPAN, SPAN]: distance to the outline, tone, and the two components of the
bevel's normal. Tables come in several resolutions (mipmaps), so that details stay antialiased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.image.silhouettes import SILHOUETTES, union
from onepeace_pl.triworld.image.textures import CANVAS_SCALE, canvas
from onepeace_pl.triworld.world.factors import DIRECTIONS, SPEEDS
from onepeace_pl.triworld.world.numerics import direction
from onepeace_pl.triworld.world.scene import Scene, SceneObject

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
    outline = union(*(distance for distance, _ in parts))
    slope_u, slope_v = np.zeros_like(outline), np.zeros_like(outline)
    slope_u[:, 1:-1] = (outline[:, 2:] - outline[:, :-2]) * (0.5 / pixel)
    slope_v[1:-1, :] = (outline[2:, :] - outline[:-2, :]) * (0.5 / pixel)
    edge = np.clip(1.0 + outline * (1.0 / _BEVEL), 0.0, 1.0)
    table = np.stack([outline, tone, slope_u * edge, slope_v * edge], axis=-1)
    return table.reshape(-1, 4).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Sprite:
    """One object sampled on the pixels of an image.

    Attributes:
        top: First row in the image; any side of a sprite may lie outside.
        left: First column.
        distance: (h, w) signed distance to the contour, in pixels.
        tone: (h, w) from -1 dark to +1 ivory.
        normal: Two (h, w) components of the surface normal, to the right and down.
    """

    top: int
    left: int
    distance: Pixels
    tone: Pixels
    normal: tuple[Pixels, Pixels]


def sample_sprite(thing: SceneObject, size: int, shift: tuple[float, float] = (0.0, 0.0)) -> Sprite:
    """Sample an object for an image of ``size`` pixels, translated by a fraction of the image (right, down)."""
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
    return Sprite(
        top=top,
        left=left,
        distance=upper[..., 0] * np.float32(radius),
        tone=upper[..., 1],
        normal=(
            right * np.float32(cos) - below * np.float32(sin),
            right * np.float32(sin) + below * np.float32(cos),
        ),
    )


def overlap_slices(sprite: Sprite, size: int) -> tuple[slice, slice, slice, slice] | None:
    """Return slices of the image (rows, columns), then of the sprite, where both overlap; None if nowhere."""
    height, width = sprite.distance.shape
    top, left = max(sprite.top, 0), max(sprite.left, 0)
    bottom, right = min(sprite.top + height, size), min(sprite.left + width, size)
    if top >= bottom or left >= right:
        return None
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - sprite.top, bottom - sprite.top),
        slice(left - sprite.left, right - sprite.left),
    )


def coverage(distance: Pixels) -> Pixels:
    """Return the alpha of every pixel from its signed distance: antialiasing."""
    inside: Pixels = np.minimum(np.maximum(np.float32(0.5) - distance, np.float32(0)), np.float32(1))
    return inside


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


def render_background(scene: Scene, size: int) -> Pixels:
    """Return the lit background, (size, size, 3) in 0..255."""
    free = (CANVAS_SCALE - 1) * size
    left, top = int(scene.texture[0] * free), int(scene.texture[1] * free)
    piece = canvas(scene.background, size)[top : top + size, left : left + size]
    cos, sin = direction(scene.light)
    axis = _axis(size)
    lit = np.float32(scene.brightness) - np.float32(0.14 * scene.brightness) * (
        axis[None, :] * np.float32(cos) + axis[:, None] * np.float32(sin)
    )
    return piece * lit[..., None]


def _cast_shadow(
    pixels: Pixels, sprite: Sprite, size: int, light: tuple[float, float], radius: float
) -> None:
    away = 0.16 * radius
    soft = 0.16 * radius + 1.0
    moved = Sprite(
        top=sprite.top + int(np.floor(light[1] * away + 0.5)),
        left=sprite.left + int(np.floor(light[0] * away + 0.5)),
        distance=sprite.distance,
        tone=sprite.tone,
        normal=sprite.normal,
    )
    overlap = overlap_slices(moved, size)
    if overlap is None:
        return
    rows, columns, inner_rows, inner_columns = overlap
    depth = sprite.distance[inner_rows, inner_columns] * np.float32(-0.5 / soft) + np.float32(0.5)
    shadow = np.minimum(np.maximum(depth, np.float32(0)), _ONE) * np.float32(0.5)
    pixels[rows, columns] *= (_ONE - shadow)[..., None]


def _paint(
    pixels: Pixels, thing: SceneObject, sprite: Sprite, scene: Scene, light: tuple[float, float]
) -> None:
    size = pixels.shape[0]
    overlap = overlap_slices(sprite, size)
    if overlap is None:
        return
    rows, columns, inner_rows, inner_columns = overlap
    inner = (inner_rows, inner_columns)
    distance, tone = sprite.distance[inner], sprite.tone[inner]
    # The light travels along (cos, sin), so surfaces that face against it are bright.
    facing = sprite.normal[0][inner] * np.float32(-light[0]) + sprite.normal[1][inner] * np.float32(-light[1])
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


def composite(scene: Scene, size: int, sprites: Sequence[Sprite]) -> npt.NDArray[np.uint8]:
    """Return the image of sprites composited back to front."""
    light = direction(scene.light)
    pixels = render_background(scene, size)
    for thing, sprite in sorted(
        zip(scene.objects, sprites, strict=True), key=lambda pair: pair[0].distance, reverse=True
    ):
        _cast_shadow(pixels, sprite, size, light, thing.radius * size)
        _paint(pixels, thing, sprite, scene, light)
    result: npt.NDArray[np.uint8] = np.minimum(pixels + np.float32(0.5), np.float32(255)).astype(np.uint8)
    return result


def check_size(size: int) -> None:
    """Raise UserError for images too small to recognise objects in."""
    if size < SMALLEST:
        raise UserError(f"image_size={size}: TriWorld's images need {SMALLEST} pixels or more a side")


def render(scene: Scene, size: int = 64) -> npt.NDArray[np.uint8]:
    """Return the image of a scene.

    Args:
        scene: The scene.
        size: Side in pixels, 48 or more.

    Returns:
        RGB, (size, size, 3).

    Raises:
        UserError: ``size`` is under 48.
    """
    check_size(size)
    return composite(scene, size, [sample_sprite(thing, size) for thing in scene.objects])


CLIP_CLASSES: Final = tuple(f"{speed} {direction}" for speed in SPEEDS for direction in DIRECTIONS)
_STEP: Final = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
_TRAVEL: Final = {"slow": 0.12, "fast": 0.36}  # fraction of the image, from the first frame to the last


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """Video frames with an action label.

    Attributes:
        frames: (T, S, S, 3) RGB.
        label: Index into ``CLIP_CLASSES``.
    """

    frames: npt.NDArray[np.uint8]
    label: int

    @property
    def name(self) -> str:
        """Class name, such as ``"fast left"``."""
        return CLIP_CLASSES[self.label]


def render_clip(scene: Scene, frames: int = 8, size: int = 64) -> LabelledClip:
    """Return a video clip of all objects moving through their places in the scene's direction, at its speed.

    Args:
        scene: The scene.
        frames: Number of frames, 2 or more.
        size: Side in pixels.

    Raises:
        UserError: Fewer than 2 frames, or the images are too small.
    """
    check_size(size)
    if frames < 2:
        raise UserError(f"frames={frames}: a clip needs 2 frames or more")
    right, down = _STEP[scene.direction]
    travel = _TRAVEL[scene.speed]
    images = []
    for number in range(frames):
        moved = (number / (frames - 1) - 0.5) * travel
        shift = (right * moved, down * moved)
        images.append(composite(scene, size, [sample_sprite(thing, size, shift) for thing in scene.objects]))
    label = CLIP_CLASSES.index(f"{scene.speed} {scene.direction}")
    return LabelledClip(np.stack(images), label)
