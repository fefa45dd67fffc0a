import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
    KINDS,
    RHYTHMS,
)
from onepeace_pl.triworld.world.scene import Scene


def visible(scene: Scene) -> tuple:
    objects = sorted((t.place, t.kind, t.size, t.colour) for t in scene.objects)
    return scene.background, tuple(objects)


def test_splits_share_no_picture() -> None:
    worlds = {
        split: {visible(s) for s in World(split, 1500, Law((1, 1)))} for split in ("train", "val", "test")
    }
    assert not worlds["train"] & worlds["val"]
    assert not worlds["train"] & worlds["test"]
    assert not worlds["val"] & worlds["test"]


def test_one_combination_in_eight_is_held_out() -> None:
    assert len(HELD_OUT_COLOURS) == len(KINDS) * len(COLOURS) // 8
    assert len(HELD_OUT_BACKGROUNDS) == len(KINDS) * len(BACKGROUNDS) // 8
    assert abs(len(HELD_OUT_RHYTHMS) - len(KINDS) * len(RHYTHMS) / 8) <= 1


def test_training_never_has_held_out_combinations() -> None:
    for scene in World("train", 500, Law((1, 4))):
        assert not scene.novel
        for thing in scene.objects:
            assert (thing.kind, thing.colour) not in HELD_OUT_COLOURS
            assert (thing.kind, scene.background) not in HELD_OUT_BACKGROUNDS
            assert (thing.kind, thing.rhythm) not in HELD_OUT_RHYTHMS


def test_training_has_all_other_combinations() -> None:
    scenes = list(World("train", 2500))
    things = [thing for scene in scenes for thing in scene.objects]
    assert len({(t.kind, t.colour) for t in things}) == 96 - len(HELD_OUT_COLOURS)
    assert len({(t.kind, t.rhythm) for t in things}) == 60 - len(HELD_OUT_RHYTHMS)
    pairs = {(t.kind, scene.background) for scene in scenes for t in scene.objects}
    assert len(pairs) == 96 - len(HELD_OUT_BACKGROUNDS)


def test_novelty() -> None:
    assert all(scene.novel_visible for scene in World("val", 60, Law((1, 2), "visible")))
    assert all(scene.novel_audible for scene in World("val", 60, Law((1, 2), "audible")))
    assert not any(scene.novel for scene in World("val", 60))
    mixed = [scene.novel for scene in World("val", 200, Law((1, 2), "include"))]
    assert 40 < sum(mixed) < 160


def test_a_scene_depends_on_its_index_alone() -> None:
    world = World("val", 50)
    assert world[7] == World("val", 8)[7] == World("val", 50)[-43]
    assert world[7] != world[8]
    assert world[7] != World("val", 50, seed=1)[7]
    assert world[2:5] == [world[2], world[3], world[4]]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="training never has novel"):
        World("train", 1, Law((1, 2), "include"))[0]
    with pytest.raises(ValueError, match="'dev': choose one of train, val, test"):
        World("dev", 1)
    with pytest.raises(ValueError, match=r"objects=\(0, 2\)"):
        Law((0, 2))
    with pytest.raises(ValueError, match="novelty='some'"):
        Law((1, 2), "some")  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        World("val", 3)[3]
