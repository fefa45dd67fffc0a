from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.render import CLIP_CLASSES, PALETTE, render, render_clip
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, DIRECTIONS, KINDS, SPEEDS


def centred(kind: str, size: int = 64) -> np.ndarray:
    scene = World("val", 1, Law((1, 1), "include"))[0]
    thing = replace(
        scene.objects[0], kind=kind, x=0.5, y=0.5, radius=0.4, tilt=0.0, stretch=1.0, mirrored=False
    )
    return regions.instance_masks(replace(scene, objects=(thing,)), size)[0]


@pytest.mark.parametrize("size", [48, 64, 97, 224])
def test_shape(size: int) -> None:
    picture = render(World("train", 1)[0], size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8


def test_silhouettes_differ_and_are_solid() -> None:
    masks = {kind: centred(kind) for kind in KINDS}
    for kind, mask in masks.items():
        assert 0.12 < mask.mean() < 0.5, kind
        for other, its in masks.items():
            if other != kind:
                assert (mask & its).sum() / (mask | its).sum() < 0.85, (kind, other)


def test_colours_can_be_told_apart() -> None:
    """The mean colour inside of an object is nearest to its own entry of the palette, nearly always."""
    right = total = 0
    for scene in World("train", 150):
        picture = render(scene, 64).astype(float)
        for thing, mask in zip(scene.objects, regions.instance_masks(scene, 64), strict=True):
            inside = picture[mask]
            hues = inside / inside.sum(axis=1, keepdims=True)
            target = np.array([PALETTE[colour] for colour in COLOURS], dtype=float)
            target /= target.sum(axis=1, keepdims=True)
            nearest = np.abs(hues[:, None] - target).sum(axis=2).argmin(axis=1)
            votes = np.bincount(nearest, minlength=len(COLOURS))
            right += votes.argmax() == COLOURS.index(thing.colour)
            total += 1
    assert right / total > 0.6  # ink and ivory parts blur some; by chance one in eight


def test_objects_stand_out_from_every_background() -> None:
    scene = World("val", 1, Law((1, 1), "include"))[0]
    for background in BACKGROUNDS:
        for colour in COLOURS:
            thing = replace(scene.objects[0], colour=colour)
            with_it = render(replace(scene, background=background, objects=(thing,)), 64).astype(int)
            without = render(replace(scene, background=background, objects=()), 64).astype(int)
            mask = regions.instance_masks(scene, 64)[0]
            assert np.abs(with_it - without)[mask].mean() > 20, (background, colour)


def test_small_pictures_are_antialiased() -> None:
    """A small picture is what a large one looks like from afar."""
    scene = World("train", 4)[3]
    large = render(scene, 256).reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    small = render(scene, 64)
    mask = regions.instance_masks(scene, 64).any(axis=0)
    assert np.abs(large - small)[mask].mean() < 12


def test_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size=32"):
        render(World("train", 1)[0], 32)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_objects_move_where_the_class_says(direction: str) -> None:
    scene = World("val", 1, Law((1, 1)))[0]
    thing = replace(scene.objects[0], x=0.5, y=0.5)
    way = {}
    for speed in SPEEDS:
        moving = replace(scene, objects=(thing,), direction=direction, speed=speed)
        clip = render_clip(moving, 5, 64)
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
    counts = Counter(render_clip(scene, 2, 48).label for scene in World("val", 160))
    assert set(counts) == set(range(len(CLIP_CLASSES)))
    assert min(counts.values()) > 6


def test_one_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="frames=1"):
        render_clip(World("val", 1)[0], 1)
