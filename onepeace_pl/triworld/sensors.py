"""Depth maps and inertial (IMU) signals of a scene, for modalities that a user adds."""

from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.audio import check_seconds, onsets, starts
from onepeace_pl.triworld.image.render import check_size, overlap_slices, sample_sprite
from onepeace_pl.triworld.world.factors import KINDS
from onepeace_pl.triworld.world.numerics import KeyedRandom, RandomPurpose, halving, ramp, sine
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS

MOTION_RATE: Final = 100
_STANDING: Final = frozenset({"wood", "bricks", "night", "clouds"})  # walls and skies: of one depth


def depth(scene: Scene, size: int = 64) -> npt.NDArray[np.float32]:
    """Return a depth map (size, size): distance from the viewer, 0 nearest to 1.

    Ground (snow, grass, sand, water) comes nearer towards the lower edge; walls and skies stand upright.
    Objects bulge towards the viewer.
    """
    check_size(size)
    rows = ((np.arange(size) + 0.5) / size).astype(np.float32)[:, None]
    slope = 0.0 if scene.background in _STANDING else 0.3
    far = np.float32(1.0) - np.float32(slope) * rows
    map_: npt.NDArray[np.float32] = np.broadcast_to(far, (size, size)).copy()
    for thing in sorted(scene.objects, key=lambda thing: thing.distance, reverse=True):
        sprite = sample_sprite(thing, size)
        overlap = overlap_slices(sprite, size)
        if overlap is None:
            continue
        row_range, column_range, inner_rows, inner_columns = overlap
        distance = sprite.distance[inner_rows, inner_columns]
        inward = np.minimum(np.maximum(-distance * np.float32(1.0 / (thing.radius * size)), 0), 1)
        bulge = np.float32(thing.distance) - np.float32(0.25 * thing.radius) * np.sqrt(inward)
        target = map_[row_range, column_range]
        target[...] = np.where(distance <= 0, bulge, target)
    return map_


def motion(scene: Scene, seconds: float = 2.0) -> npt.NDArray[np.float32]:
    """Return an inertial signal (IMU at 100 Hz), (6, seconds * 100).

    Three accelerations (x right, y down, z towards the viewer, in g) and three angular rates. Every note of an
    object is a vibration whose axis and frequency depend on its kind and size; the scene's motion is one push along
    x or y.
    """
    check_seconds(seconds)
    length = round(seconds * MOTION_RATE)
    t = np.arange(length) / MOTION_RATE
    rng = KeyedRandom(scene.seed, SPLITS.index(scene.split), scene.index, RandomPurpose.LABEL, 1000)
    signal = (rng.uniforms(6 * length).reshape(6, length) - 0.5) * 0.04
    signal[2] += 1.0
    for thing, begin in zip(scene.objects, starts(scene, seconds), strict=True):
        kind = KINDS.index(thing.kind)
        frequency = (7.0 + 2.5 * (kind // 6)) * (1.6 if thing.size == "small" else 1.0)
        strength = 0.4 if thing.size == "small" else 0.9
        for offset in onsets(thing, seconds):
            local = np.maximum(t - begin - offset, 0.0)
            shake = sine(local * frequency) * halving(local, 0.06) * ramp(t - begin - offset, -0.005, 0.005)
            signal[kind % 6] += strength * thing.gain * shake
    axis = 0 if scene.direction in ("left", "right") else 1
    sign = -1.0 if scene.direction in ("left", "up") else 1.0
    push = ramp(t, 0.0, 0.1 * seconds) - ramp(t, 0.1 * seconds, 0.2 * seconds)
    signal[axis] += sign * push * (0.7 if scene.speed == "fast" else 0.3)
    return signal.astype(np.float32)
