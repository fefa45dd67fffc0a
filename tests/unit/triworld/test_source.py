import pickle
import time

import numpy as np
import pytest

from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError
from onepeace_pl.triworld import SceneRows, TriWorldSource, World
from onepeace_pl.triworld.audio import synthesise
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.world.factors import KINDS

EVERYTHING = ("image", "audio", "text", "depth", "motion")


def test_it_is_a_source() -> None:
    source = TriWorldSource("train", 5, modalities=EVERYTHING, image_size=48)
    assert isinstance(source, Source)
    assert source.modalities == EVERYTHING
    assert len(source) == 5
    row = source[2]
    assert row.id == "train-2"
    assert row.fields["image"].shape == (48, 48, 3)
    assert row.fields["image"].dtype == np.uint8
    wave, rate = row.fields["audio"]
    assert wave.shape == (16000,)
    assert wave.dtype == np.float32
    assert rate == 16000
    assert isinstance(row.fields["text"], str)
    assert row.fields["depth"].shape == (48, 48)
    assert row.fields["motion"].shape == (6, 100)
    assert row.labels == {}


def test_rows_are_the_scenes() -> None:
    source = TriWorldSource("val", 5, modalities=("image", "audio"), seconds=1.5, seed=3)
    for index in range(5):
        scene = source.scenes[index]
        assert scene.seed == 3
        assert scene.split == "val"
        np.testing.assert_array_equal(source[index].fields["image"], render(scene, 64))
        np.testing.assert_array_equal(source[index].fields["audio"][0], synthesise(scene, 1.5))


def test_further_captions_are_those_of_their_type() -> None:
    names = ("audio", "text", "text:objects", "text:background")
    source = TriWorldSource("train", 12, modalities=names, caption="audio")
    alone = TriWorldSource("train", 12, modalities=("text:objects",))
    for index in range(12):
        fields = source.training_row(index, 2).fields
        assert fields["text"] == source.text(index, 2)
        assert fields["text:objects"] == alone.training_row(index, 2).fields["text:objects"]
        assert not any(word in fields["text:objects"] for word in ("snow", "grass", "sand", "brick"))
    with pytest.raises(UserError, match="'text:smell' is unknown"):
        TriWorldSource("train", 12, modalities=("text:smell",))


def test_every_epoch_has_other_words_for_the_same_scene() -> None:
    source = TriWorldSource("train", 40)
    assert source[0].fields["text"] == source.training_row(0, 0).fields["text"]
    changed = sum(
        source.training_row(i, 0).fields["text"] != source.training_row(i, 1).fields["text"]
        for i in range(40)
    )
    assert changed > 30
    np.testing.assert_array_equal(
        source.training_row(7, 0).fields["image"], source.training_row(7, 1).fields["image"]
    )
    assert (
        source.training_row(7, 5).fields["text"]
        == TriWorldSource("train", 40).training_row(7, 5).fields["text"]
    )


def test_cache_changes_nothing() -> None:
    cached = TriWorldSource("train", 6, modalities=("image", "audio", "text"))
    plain = TriWorldSource("train", 6, modalities=("image", "audio", "text"), cache=False)
    full = TriWorldSource("train", 6, modalities=("image", "audio", "text"), cache_megabytes=0)
    for index in (0, 3, 0, 3):
        rows = [source.training_row(index, 1).fields for source in (cached, plain, full)]
        for row in rows[1:]:
            assert row["text"] == rows[0]["text"]
            np.testing.assert_array_equal(row["image"], rows[0]["image"])
            np.testing.assert_array_equal(row["audio"][0], rows[0]["audio"][0])


def test_it_pickles_without_its_cache() -> None:
    source = TriWorldSource("train", 50, modalities=("image", "audio", "text"))
    before = len(pickle.dumps(source))
    row = source[1]
    assert len(pickle.dumps(source)) == before < 10_000
    assert pickle.loads(pickle.dumps(source))[1].fields["text"] == row.fields["text"]


def test_one_training_caption_in_two_is_vague() -> None:
    source = TriWorldSource("train", 400)
    vague = [source.content(index).factors() <= {"kind", "size", "count"} for index in range(400)]
    assert 150 < sum(vague) < 250
    held = TriWorldSource("val", 100)
    assert sum(held.content(index).factors() <= {"kind", "size", "count"} for index in range(100)) < 10
    assert not any("hear" in text for text in source.texts())


def test_captions_of_the_senses() -> None:
    heard = list(TriWorldSource("train", 60, caption="audio").texts())
    assert any("hear" in text for text in heard)
    both = TriWorldSource("train", 60, caption="audiovisual")
    assert any({"colour", "rhythm"} <= both.content(index).factors() for index in range(60))
    new = list(TriWorldSource("val", 30, caption="audio", templates="held_out").texts())
    assert any("listen to" in text for text in new)


def test_labels() -> None:
    names = ("scene", "novel", "factors", "class", "kinds", "boxes", "instance_masks", "semantic_mask")
    source = TriWorldSource("val", 4, labels=(*names, "questions", "expressions"), image_size=48)
    labels = source[1].labels
    assert labels["scene"] == source.scenes[1]
    assert labels["boxes"].shape == (len(labels["kinds"]), 4)
    assert labels["instance_masks"].shape == (len(labels["kinds"]), 48, 48)
    assert source.classes[labels["class"]] == labels["scene"].objects[0].kind
    assert source.classes == KINDS


def test_novelty_by_default() -> None:
    assert not any(scene.novel for scene in TriWorldSource("train", 100).scenes)
    assert any(scene.novel for scene in TriWorldSource("val", 100).scenes)
    assert not any(scene.novel for scene in TriWorldSource("val", 100, novelty="exclude").scenes)


def test_rows_of_given_scenes() -> None:
    scenes = list(World("test", 3))
    rows = SceneRows(scenes, ("text",), "audiovisual")
    assert [rows[i].id for i in range(3)] == ["test-0", "test-1", "test-2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": ("smell",)}, "modalities: 'smell' is unknown; choose from image"),
        ({"caption": "felt"}, "caption: 'felt'"),
        ({"labels": ("mood",)}, "labels: 'mood'"),
        ({"templates": "odd"}, "templates: 'odd'"),
        ({"image_size": 20}, "image_size=20"),
        ({"seconds": 0.1}, "seconds=0.1"),
        ({"vague": 2.0}, "vague=2.0"),
        ({"objects": (2, 9)}, r"objects=\(2, 9\)"),
        ({"split": "dev"}, "'dev'"),
        ({"novelty": "include"}, "training never has novel"),
        ({"size": -1}, "size=-1"),
    ],
)
def test_refusals(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriWorldSource(**options)


@pytest.mark.slow  # measures the machine
def test_speed() -> None:
    """A picture, a sound and a sentence take about a millisecond of this process's time; ten are let pass."""
    source = TriWorldSource("train", 400, modalities=("image", "audio", "text"), cache=False)
    for index in range(150):
        source[index]
    best = min(_seconds(source, start) for start in range(150, 350, 25))
    assert best / 25 < 0.010


def _seconds(source: TriWorldSource, start: int) -> float:
    begin = time.process_time()
    for index in range(start, start + 25):
        source[index]
    return time.process_time() - begin
