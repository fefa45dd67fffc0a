from dataclasses import replace

import numpy as np
import pytest

from onepeace_pl.triworld import Law, World, sensors
from onepeace_pl.triworld.image import regions


def test_objects_are_nearer_than_the_ground() -> None:
    for scene in World("val", 30, Law((1, 3), "include")):
        depth = sensors.depth(scene, 64)
        assert depth.dtype == np.float32
        assert depth.min() >= 0
        assert depth.max() <= 1
        for thing, mask in zip(scene.objects, regions.instance_masks(scene, 64), strict=True):
            assert abs(np.median(depth[mask]) - thing.distance) < 0.08
        assert depth[~regions.instance_masks(scene, 64).any(axis=0)].min() > 0.65


def test_motion_has_rhythm_and_direction() -> None:
    scene = World("val", 1, Law((1, 1)))[0]
    quiet, busy = (
        sensors.motion(replace(scene, objects=(replace(scene.objects[0], rhythm=rhythm),)), 2.0)
        for rhythm in ("once", "steady")
    )
    assert quiet.shape == busy.shape == (6, 200)
    assert busy[:, 25:].std(axis=1).max() > quiet[:, 45:].std(axis=1).max()
    left, right = (
        sensors.motion(replace(scene, direction=way, objects=()), 2.0) for way in ("left", "right")
    )
    assert left[0, 10:30].mean() < -0.05 < 0.05 < right[0, 10:30].mean()
    with pytest.raises(ValueError, match="seconds=0"):
        sensors.motion(scene, 0)
