"""Procedural background textures: one large canvas per background, of which every scene is a crop.

A canvas is ``CANVAS_SCALE`` times as wide and high as an image, so that one costly drawing serves all scenes of a size.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.world.factors import BACKGROUNDS
from onepeace_pl.triworld.world.numerics import (
    Floats,
    KeyedRandom,
    RandomPurpose,
    layered_noise,
    ramp,
    sine,
    value_noise,
)

CANVAS_SCALE: Final = 2


def _blend(stops: list[tuple[float, tuple[int, int, int]]], value: Floats) -> Floats:
    """Return colours (..., 3) of a gradient: linear interpolation of ``value`` between the stops."""
    colour = np.broadcast_to(np.array(stops[0][1], dtype=np.float64), (*value.shape, 3))
    for (low, _), (high, upper) in pairwise(stops):
        share = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)[..., None]
        colour = colour * (1.0 - share) + np.array(upper, dtype=np.float64) * share
    return colour


def _grid(n: int) -> tuple[Floats, Floats]:
    """Return the (n, 1) rows and (1, n) columns of a canvas, in image sides."""
    axis = (np.arange(n, dtype=np.float64) + 0.5) * (CANVAS_SCALE / n)
    return axis[:, None], axis[None, :]


def _snow(n: int, rng: KeyedRandom) -> Floats:
    drifts = layered_noise(n, n, 12, 5, 3, rng)
    sparkle = ramp(value_noise(n, n, 90, 90, rng), 0.86, 0.97)
    return _blend(
        [(0.2, (176, 196, 222)), (0.55, (222, 231, 242)), (0.8, (247, 250, 253))], drifts + 0.3 * sparkle
    )


def _grass(n: int, rng: KeyedRandom) -> Floats:
    blades = value_noise(n, n, 26, 110, rng) * 0.6 + value_noise(n, n, 40, 180, rng) * 0.4
    patches = layered_noise(n, n, 5, 6, 2, rng)
    return _blend(
        [(0.2, (26, 66, 22)), (0.5, (62, 118, 38)), (0.8, (128, 172, 70))], 0.65 * blades + 0.35 * patches
    )


def _sand(n: int, rng: KeyedRandom) -> Floats:
    rows, columns = _grid(n)
    bend = layered_noise(n, n, 6, 6, 2, rng)
    ripples = sine(rows * 7.0 + columns * 1.5 + bend * 2.2) * 0.5 + 0.5
    grain = value_noise(n, n, 120, 120, rng)
    return _blend(
        [(0.1, (158, 122, 74)), (0.5, (205, 172, 116)), (0.9, (236, 212, 160))], 0.7 * ripples + 0.3 * grain
    )


def _night(n: int, rng: KeyedRandom) -> Floats:
    haze = layered_noise(n, n, 5, 5, 3, rng)
    sky = _blend([(0.25, (6, 8, 26)), (0.5, (16, 20, 54)), (0.8, (46, 40, 92))], haze)
    stars = np.zeros((n, n))
    rows, columns = _grid(n)
    for _ in range(90):
        y, x = rng.uniform(0.0, CANVAS_SCALE), rng.uniform(0.0, CANVAS_SCALE)
        size = rng.uniform(0.004, 0.013)
        reach = np.sqrt((rows - y) * (rows - y) + (columns - x) * (columns - x))
        stars = np.maximum(stars, 1.0 - ramp(reach, size * 0.4, size + 1.2 * CANVAS_SCALE / n))
    result: Floats = sky + stars[..., None] * np.array([210.0, 205.0, 170.0])
    return result


def _water(n: int, rng: KeyedRandom) -> Floats:
    rows, _ = _grid(n)
    swell = layered_noise(n, n, 14, 5, 2, rng)
    crests = sine(rows * 6.0 + swell * 3.0) * 0.5 + 0.5
    glint = ramp(value_noise(n, n, 80, 22, rng), 0.75, 0.95)
    return _blend(
        [(0.1, (12, 62, 96)), (0.5, (30, 112, 142)), (0.85, (86, 178, 190)), (1.2, (222, 246, 246))],
        0.55 * crests + 0.35 * swell + 0.5 * glint,
    )


def _wood(n: int, rng: KeyedRandom) -> Floats:
    rows, columns = _grid(n)
    plank = np.floor(columns * 4.0)
    shade = rng.uniforms(4 * CANVAS_SCALE + 1)[plank.astype(np.int64)]
    warp = layered_noise(n, n, 3, 16, 2, rng)
    grain = sine(columns * 26.0 + warp * 5.0 + shade * 3.0) * 0.5 + 0.5
    colour = _blend(
        [(0.0, (94, 58, 30)), (0.5, (138, 92, 52)), (1.0, (176, 128, 80))], 0.55 * grain + 0.45 * shade
    )
    seam = ramp(np.abs(columns * 4.0 - plank - 0.5), 0.46, 0.5) + 0.0 * rows
    return colour * (1.0 - 0.65 * seam[..., None])


def _bricks(n: int, rng: KeyedRandom) -> Floats:
    rows, columns = _grid(n)
    course = np.floor(rows * 8.0)
    shifted = columns * 4.0 + 0.5 * (course - 2.0 * np.floor(course * 0.5))
    brick = np.floor(shifted)
    cells = rng.uniforms(1024)[((course * 31.0 + brick) % 1024.0).astype(np.int64)]
    rough = value_noise(n, n, 90, 90, rng)
    colour = _blend(
        [(0.0, (112, 54, 42)), (0.5, (146, 78, 60)), (1.0, (178, 112, 88))], 0.7 * cells + 0.3 * rough
    )
    joint = np.maximum(
        ramp(np.abs(rows * 8.0 - course - 0.5), 0.38, 0.46), ramp(np.abs(shifted - brick - 0.5), 0.43, 0.47)
    )[..., None]
    result: Floats = colour * (1.0 - joint) + np.array([186.0, 178.0, 166.0]) * joint
    return result


def _clouds(n: int, rng: KeyedRandom) -> Floats:
    puffs = layered_noise(n, n, 7, 5, 4, rng)
    return _blend([(0.46, (78, 146, 218)), (0.56, (150, 194, 236)), (0.68, (244, 248, 252))], puffs)


_PAINTERS: Final[dict[str, Callable[[int, KeyedRandom], Floats]]] = {
    "snow": _snow,
    "grass": _grass,
    "sand": _sand,
    "night": _night,
    "water": _water,
    "wood": _wood,
    "bricks": _bricks,
    "clouds": _clouds,
}


@cache
def canvas(background: str, size: int) -> npt.NDArray[np.uint8]:
    """Return the RGB canvas of a background for images of ``size`` pixels: CANVAS_SCALE times that a side."""
    n = CANVAS_SCALE * size
    colours = _PAINTERS[background](n, KeyedRandom(BACKGROUNDS.index(background), RandomPurpose.TABLE))
    return np.floor(np.clip(colours, 0.0, 255.0) + 0.5).astype(np.uint8)
