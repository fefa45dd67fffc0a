from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.image.clip import CLIP_CLASSES, film
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.world.factors import DIRECTIONS, SPEEDS


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_objects_move_where_the_class_says(direction: str) -> None:
    scene = World("val", 1, Law((1, 1)))[0]
    thing = replace(scene.objects[0], x=0.5, y=0.5)
    way = {}
    for speed in SPEEDS:
        moving = replace(scene, objects=(thing,), direction=direction, speed=speed)
        clip = film(moving, 5, 64)
        assert clip.frames.shape == (5, 64, 64, 3)
        assert clip.name == f"{speed} {direction}"
        still = render(replace(moving, objects=()), 64).astype(int)
        centres = []
        for frame in clip.frames[[0, -1]]:
            rows, columns = np.nonzero(np.abs(frame - still).sum(axis=2) > 60)
            centres.append((columns.mean(), rows.mean()))
        way[speed] = np.subtract(centres[1], centres[0])
    axis, sign = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}[direction]
    assert way["fast"][axis] * sign > 2 * way["slow"][axis] * sign > 4
    assert abs(way["fast"][1 - axis]) < 2


def test_classes_are_balanced() -> None:
    counts = Counter(film(scene, 2, 48).label for scene in World("val", 160))
    assert set(counts) == set(range(len(CLIP_CLASSES)))
    assert min(counts.values()) > 6


def test_one_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="frames=1"):
        film(World("val", 1)[0], 1)
