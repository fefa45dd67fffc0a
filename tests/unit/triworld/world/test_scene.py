"""The same index gives the same bytes everywhere: these digests must never change by accident."""

import hashlib

import numpy as np
import pytest

from onepeace_pl.triworld import Law, TriWorldSource, World, sensors
from onepeace_pl.triworld.audio import synthesise
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.world.factors import KINDS


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


PINNED = {
    "factors": "9c4b2989040293f4",
    "pictures": "ed73623d6b8686de",
    "sounds": "d1fcb95a33009aa4",
    "sentences": "9e1ca93e8323513e",
    "depth": "1674ac8fd7803b60",
    "motion": "f3686891dde2268e",
}


@pytest.fixture(scope="module")
def scenes() -> list:
    return list(World("test", 24, Law((1, 4), "include"), seed=11))


def measure(scenes: list) -> dict[str, str]:
    texts = [
        TriWorldSource("val", 32, modalities=("text",), caption=caption, objects=(1, 4), seed=5).text(
            index, epoch
        )
        for caption in ("image", "vague", "audio", "audiovisual", "background")
        for index in range(32)
        for epoch in (0, 3)
    ]
    return {
        "factors": digest(repr(scenes).encode()),
        "pictures": digest(*(render(scene, size).tobytes() for scene in scenes for size in (48, 100))),
        "sounds": digest(
            *(synthesise(scene, seconds).tobytes() for scene in scenes for seconds in (1.0, 3.5))
        ),
        "sentences": digest("\n".join(texts).encode()),
        "depth": digest(*(sensors.depth(scene, 64).tobytes() for scene in scenes)),
        "motion": digest(*(sensors.motion(scene, 1.0).tobytes() for scene in scenes)),
    }


def test_bytes_are_pinned(scenes: list) -> None:
    assert measure(scenes) == PINNED


def test_factors_of_a_scene(scenes: list) -> None:
    for scene in scenes:
        factors = scene.factors()
        assert factors["count"] == str(len(scene.objects))
        assert sorted(factors["kind"].split("+")) == sorted(thing.kind for thing in scene.objects)
        assert ("order" in factors) == (len(scene.kinds) > 1)
        assert set(scene.kinds) <= set(KINDS)


def test_objects_stay_in_the_picture_and_apart() -> None:
    overlaps = []
    for scene in World("train", 300, Law((1, 4))):
        masks = regions.instance_masks(scene, 64)
        assert masks.sum(axis=(1, 2)).min() > 25
        assert masks.sum(axis=0).max() == 1
        for thing in scene.objects:
            assert thing.x - thing.radius * 0.95 > 0
            assert thing.x + thing.radius * 0.95 < 1
            assert thing.y - thing.radius * 0.95 > 0
            assert thing.y + thing.radius * 0.95 < 1
        pairs = [
            np.hypot(a.x - b.x, a.y - b.y) - a.radius - b.radius
            for i, a in enumerate(scene.objects)
            for b in scene.objects[:i]
        ]
        overlaps.extend(pairs)
    assert min(overlaps) > -0.12


def test_objects_of_the_quickstart_are_big() -> None:
    radii = [thing.radius for scene in World("train", 200) for thing in scene.objects]
    assert min(radii) >= 0.14
    assert max(radii) <= 0.25
