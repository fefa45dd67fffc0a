"""A short clip in which the objects of a scene move; direction and speed are its class."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.image.render import check_size, paint
from onepeace_pl.triworld.image.sprites import stamp
from onepeace_pl.triworld.world.factors import DIRECTIONS, SPEEDS
from onepeace_pl.triworld.world.scene import Scene

CLIP_CLASSES: Final = tuple(f"{speed} {direction}" for speed in SPEEDS for direction in DIRECTIONS)
_STEP: Final = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
_WAY: Final = {"slow": 0.12, "fast": 0.36}  # share of the picture, from the first frame to the last


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames and what happens in them.

    Attributes:
        frames: (T, S, S, 3) RGB.
        label: Index into ``CLIP_CLASSES``.
    """

    frames: npt.NDArray[np.uint8]
    label: int

    @property
    def name(self) -> str:
        """The class in words, such as ``"fast left"``."""
        return CLIP_CLASSES[self.label]


def film(scene: Scene, frames: int = 8, size: int = 64) -> Clip:
    """Return a clip in which all objects pass through their places in the scene's direction, at its speed.

    Args:
        scene: What moves.
        frames: Number of frames, 2 or more.
        size: Side in pixels.

    Raises:
        ValueError: One frame shows no motion, or the pictures are too small.
    """
    check_size(size)
    if frames < 2:
        raise ValueError(f"frames={frames}: a clip needs 2 frames or more")
    right, down = _STEP[scene.direction]
    way = _WAY[scene.speed]
    pictures = []
    for number in range(frames):
        moved = (number / (frames - 1) - 0.5) * way
        shift = (right * moved, down * moved)
        pictures.append(paint(scene, size, [stamp(thing, size, shift) for thing in scene.objects]))
    label = CLIP_CLASSES.index(f"{scene.speed} {scene.direction}")
    return Clip(np.stack(pictures), label)
