"""The predictor's results are those of ``predict`` with a data config, whatever form an input has."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from onepeace_pl import Predictor
from onepeace_pl.data.source import Row
from onepeace_pl.errors import UserError
from onepeace_pl.hub.weights import Weights
from onepeace_pl.results import ClassificationResult, MultiLabelResult
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification

from .runs import KINDS, make_run, trainer_predictions, write_images, write_sounds


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    return write_images(tmp_path / "pictures")


@pytest.fixture
def classifier(tmp_path: Path) -> Predictor:
    make_run(tmp_path / "run", Classification)
    return Predictor.from_pretrained(tmp_path / "run", "cpu")


def test_classes_are_those_of_predict(classifier: Predictor, images: list[str], tmp_path: Path) -> None:
    found = classifier(images, batch_size=2)
    assert isinstance(found, list)
    expected = trainer_predictions(tmp_path / "run", Classification, [Row(i, {"image": i}) for i in images])
    assert [each.to_dict() for each in found] == expected
    assert len({each["class"] for each in expected} | {str(each["probabilities"]) for each in expected}) > 2


def test_one_input_gives_one_result(classifier: Predictor, images: list[str]) -> None:
    found = classifier(images[0])
    assert isinstance(found, ClassificationResult)
    assert found.id == images[0]
    assert found.top == found.classes[0]
    assert found.probabilities == tuple(sorted(found.probabilities, reverse=True))
    assert len(found.classes) == 5
    with Image.open(images[0]) as picture:
        array = np.asarray(picture)
        for value in (Path(images[0]), picture, array, Path(images[0]).read_bytes()):
            again = classifier(value)
            assert isinstance(again, ClassificationResult)
            assert (again.classes, again.probabilities) == (found.classes, found.probabilities)
    (listed,) = classifier(array[None])
    assert listed.id == "0"


@pytest.mark.parametrize("weights", ["bf16", "int8"])
def test_smaller_weights_change_probabilities_little(
    classifier: Predictor, images: list[str], tmp_path: Path, weights: Weights
) -> None:
    whole, small = (
        each(images)
        for each in (classifier, Predictor.from_pretrained(tmp_path / "run", "cpu", weights=weights))
    )
    assert isinstance(whole, list)
    assert isinstance(small, list)
    for one, two in zip(whole, small, strict=True):
        assert isinstance(one, ClassificationResult)
        assert isinstance(two, ClassificationResult)
        a, b = (dict(zip(each.classes, each.probabilities, strict=True)) for each in (one, two))
        assert {name: pytest.approx(value, abs=0.02) for name, value in a.items()} == b
        assert a != b


def test_the_number_of_classes(classifier: Predictor, images: list[str]) -> None:
    (all_of_them,) = classifier(images[:1], top_k=6)
    assert set(all_of_them.classes) == set(KINDS)
    assert sum(all_of_them.probabilities) == pytest.approx(1, abs=1e-5)
    assert classifier(images[0], top_k=2).classes == all_of_them.classes[:2]
    assert len(classifier(images[0]).classes) == 5, "the task's own number again"


def test_several_labels_of_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sounds = write_sounds(tmp_path / "sounds")
    make_run(tmp_path / "run", MultiLabelClassification)
    predictor = Predictor.from_pretrained(tmp_path / "run/model", "cpu")
    found = predictor(sounds)
    rows = [Row(sound, {"audio": sound}) for sound in sounds]
    assert [each.to_dict() for each in found] == trainer_predictions(
        tmp_path / "run", MultiLabelClassification, rows, batch_size=32
    )
    result = predictor(sounds[0], threshold=0)
    assert isinstance(result, MultiLabelResult)
    assert result.classes == KINDS
    assert predictor(sounds[0], threshold=1).classes == ()
    soundfile.write("slow.wav", np.random.default_rng(0).normal(size=8000) / 5, 8000)
    assert predictor("slow.wav").probabilities.keys() == set(KINDS)
    with pytest.raises(UserError, match="8000 Hz instead of 16000"):
        Predictor.from_pretrained(tmp_path / "run", "cpu", resample=False)("slow.wav")
    with pytest.raises(UserError, match="chosen by no top_k"):
        predictor(sounds[0], top_k=1)


def test_texts(tmp_path: Path) -> None:
    options = {"modality": "text", "pooling": "cls"}
    make_run(tmp_path / "run", Classification, options)
    predictor = Predictor.from_pretrained(tmp_path / "run", "cpu")
    texts = ["two birds sing", "a dog barks in the snow"]
    expected = trainer_predictions(
        tmp_path / "run",
        partial(Classification, **options),
        [Row(str(i), {"text": text}) for i, text in enumerate(texts)],
    )
    assert [each.to_dict() for each in predictor(texts)] == expected
    assert [each.to_dict() for each in predictor(text=texts)] == expected


def test_drawings(classifier: Predictor, images: list[str]) -> None:
    picture = classifier(images[0]).plot()
    assert picture.width == 320
    assert picture.height > 200


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"audio": "a.wav"}, "Classification reads no audio, but image"),
        ({}, r"reads image: pass inputs, or image=\.\.\."),
        (
            {"image": ("a.png", "b.png")},
            r"2 values of image a row, and the task reads 1; for several rows pass a list",
        ),
        ({"image": "nothing.png"}, r"nothing.png: no such image"),
        ({"image": 3}, "an image must be a path"),
        ({"image": "a.png", "top_k": 0}, "top_k=0 must be at least 1"),
        ({"image": "a.png", "batch_size": 0}, "batch_size=0 must be at least 1"),
    ],
)
def test_mistakes_are_named(classifier: Predictor, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        classifier(**given)


def test_what_is_skipped_is_left_out(classifier: Predictor, images: list[str], tmp_path: Path) -> None:
    Path(images[1]).write_text("no picture")
    rows = [Row(path, {"image": path}) for path in images]
    with pytest.warns(UserWarning, match="skipped row 1"):
        found = list(classifier.predict(rows, on_error="skip", batch_size=1))
    assert [each.id for each in found] == [images[0], images[2]]
    with pytest.raises(UserError, match="not an image file"):
        classifier(images)
