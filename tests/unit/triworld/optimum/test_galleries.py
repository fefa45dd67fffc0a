from collections import Counter

import numpy as np
import pytest

from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.triworld import Law, galleries
from onepeace_pl.triworld.optimum.composed import COMPOSED, hard_scenes
from onepeace_pl.triworld.world.scene import Scene


@pytest.fixture(scope="module")
def made() -> dict[str, Gallery]:
    first = galleries(stage="vision_language", size=128, novel_size=40)
    second = galleries(stage="audio_language", size=128, novel_size=40)
    return {gallery.name: gallery for gallery in [*first, *second]}


def test_names_and_sides(made: dict[str, Gallery]) -> None:
    assert list(made) == [
        "image_text",
        "image_text_novel",
        "image_text_audible",
        "image+text_image",
        "audio_text",
        "audio_text_novel",
        "audio_image",
        "audio_image_novel",
        "audio+text_image",
        "audio+image_image",
        "audio+image+text_image",
        "image+text_audio",
        "audio+text_audio",
    ]
    for gallery in made.values():
        assert set(gallery.rows[0].fields) == {*gallery.query, *gallery.target}
        forwards = f"{'+'.join(gallery.query)}->{'+'.join(gallery.target)}"
        backwards = f"{'+'.join(gallery.target)}->{'+'.join(gallery.query)}"
        assert set(gallery.optimum) == ({forwards, backwards} if gallery.both_directions else {forwards})
        assert len(gallery.factors) == len(gallery.groups or ()) == len(gallery.rows)


def test_ids_are_unique(made: dict[str, Gallery]) -> None:
    for gallery in made.values():
        assert len({gallery.rows[i].id for i in range(len(gallery.rows))}) == len(gallery.rows)


def test_optima_are_high_enough_to_be_worth_reaching(made: dict[str, Gallery]) -> None:
    assert made["image_text"].optimum["image->text"][1] > 0.9
    assert made["image_text"].optimum["text->image"][1] > 0.9
    audible = made["image_text_audible"].optimum["text->image"]
    assert audible[1] == pytest.approx(made["audio_image"].optimum["audio->image"][1], abs=0.15)
    assert 0.35 < made["audio_image"].optimum["audio->image"][1] < 0.75
    for gallery in made.values():
        known = (
            gallery.optimum,
            *gallery.optimum_variants.values(),
            *gallery.optimum_alone.values(),
        )
        for optima in known:
            for recall in optima.values():
                assert 1 / 128 < recall[1] <= recall[5] <= recall[10] <= 1


def test_a_text_side_that_never_met_rhythm_finds_less(made: dict[str, Gallery]) -> None:
    gallery = made["audio_text"]
    assert set(gallery.optimum_variants) == {"without rhythm", "without rhythm and order"}
    for direction, recall in gallery.optimum.items():
        assert gallery.optimum_variants["without rhythm"][direction][1] < recall[1] - 0.05


def test_groups(made: dict[str, Gallery]) -> None:
    for name, gallery in made.items():
        assert set(gallery.groups or ()) == ({"novel"} if name.endswith("novel") else {"seen"})


def test_factors_are_those_of_both_sides(made: dict[str, Gallery]) -> None:
    assert set(made["image_text"].factors[0]) == {"kind", "size", "count", "colour", "place", "background"}
    assert set(made["audio_text"].factors[0]) - {"order"} == {"kind", "size", "count", "rhythm"}
    assert set(made["audio_image"].factors[0]) == {"kind", "size", "count"}


def _heard(scene: Scene) -> tuple:
    return tuple(sorted((thing.kind, thing.size) for thing in scene.objects))


def test_hard_negatives() -> None:
    scenes = hard_scenes(0, "val", 128, Law((1, 2)))
    assert not any(scene.novel for scene in scenes)
    sounds = Counter(_heard(scene) for scene in scenes)
    backgrounds = Counter(scene.background for scene in scenes)
    assert min(sounds.values()) >= 2  # same kinds and sizes, other background
    assert min(backgrounds.values()) >= 2  # same background, other kinds
    assert len({(_heard(scene), scene.background) for scene in scenes}) == len(scenes)
    for start in range(0, 128, 4):
        four = scenes[start : start + 4]
        assert len({scene.background for scene in four}) == 2
        assert not set(four[0].kinds) & set(four[2].kinds)


@pytest.mark.parametrize("name", list(COMPOSED))
def test_a_composed_query_needs_every_part(made: dict[str, Gallery], name: str) -> None:
    gallery = made[name]
    (both,) = gallery.optimum.values()
    assert both[1] > 0.8
    assert set(gallery.optimum_alone) == set(gallery.query)
    for optima in gallery.optimum_alone.values():
        (alone,) = optima.values()
        assert alone[1] < 0.6


@pytest.mark.parametrize("name", ["audio+text_image", "image+text_image", "audio+image_image"])
def test_the_background_and_the_objects_of_another_target(made: dict[str, Gallery], name: str) -> None:
    scenes = COMPOSED[name].scenes(0, "val", 128, Law((1, 2)))[0]
    (optimum,) = made[name].optimum.values()
    assert optimum[1] == 1.0
    for scene in scenes:
        twins = [other for other in scenes if other is not scene]
        assert any(_heard(other) == _heard(scene) for other in twins)
        assert any(other.background == scene.background for other in twins)


def test_a_reference_image_shows_the_background_with_other_objects() -> None:
    scenes, shown = COMPOSED["audio+image_image"].scenes(0, "val", 32, Law((1, 2)))
    for scene, reference in zip(scenes, shown["image:reference"], strict=True):
        assert reference.background == scene.background
        assert not set(reference.kinds) & set(scene.kinds)


def test_a_reference_image_rules_out_what_it_shows() -> None:
    composed = COMPOSED["audio+image_image"]
    scenes, shown = composed.scenes(0, "val", 64, Law((1, 2)))
    scores = composed.scores(scenes, shown, [], Law((1, 2)))["image:reference"]
    counts = {
        len(reference.objects) - len(scene.objects)
        for scene, reference in zip(scenes, shown["image:reference"], strict=True)
    }
    assert counts == {-1, 0, 1}  # the number of objects tells nothing
    for row, reference in enumerate(shown["image:reference"]):
        for column, scene in enumerate(scenes):
            possible = scene.background == reference.background and not set(scene.kinds) & set(
                reference.kinds
            )
            assert np.isfinite(scores[row, column]) == possible


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_a_target_in_two_parts(modality: str) -> None:
    scenes, shown = COMPOSED[f"{modality}+text_audio"].scenes(0, "val", 32, Law((1, 2)))
    for row, scene in enumerate(scenes):
        parts = [shown[name][row].objects for name in (f"{modality}:reference", "text")]
        assert [len(part) for part in parts] == [1, 1]
        assert sorted((part[0].kind, part[0].size) for part in parts) == list(_heard(scene))


def test_words_name_the_background_alone(made: dict[str, Gallery]) -> None:
    gallery = made["audio+text_image"]
    texts = {gallery.rows[i].fields["text"] for i in range(40)}
    assert all(not any(kind in text for kind in ("bell", "bird", "drum", "frog")) for text in texts)


def test_they_are_the_same_each_time() -> None:
    one, two = (galleries(["audio_text"], size=20, split="test")[0] for _ in range(2))
    assert one.optimum == two.optimum
    np.testing.assert_array_equal(one.rows[4].fields["audio"][0], two.rows[4].fields["audio"][0])
    other = galleries(["audio_text"], size=20, split="val")[0]
    assert one.rows[4].fields["text"] != other.rows[4].fields["text"]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="either pairs or stage"):
        galleries()
    with pytest.raises(ValueError, match="stage='third'"):
        galleries(stage="third")
    with pytest.raises(ValueError, match="'image_audio' is unknown"):
        galleries(["image_audio"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="made of 'val' or 'test'"):
        galleries(["audio_text"], split="train")
