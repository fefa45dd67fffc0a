"""Rows with one answer each: what is asked can be answered from what the row has."""

import pickle
from functools import partial

import numpy as np
import pytest

from onepeace_pl.data.labels.masks import MaskTarget
from onepeace_pl.data.labels.objects import ObjectsTarget
from onepeace_pl.data.labels.targets import (
    AnswersTarget,
    BoxTarget,
    ChoiceTarget,
    ClassesTarget,
    ClassTarget,
    TruthTarget,
)
from onepeace_pl.data.source import Frames
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.labelled import ROWS, LabelledScenes, LabelType, Rendering
from onepeace_pl.triworld.optimum.references import references

FIELDS: dict[str, tuple[str, ...]] = {
    "background": ("text",),
    "choices": ("image", "audio"),
    "classes": ("audio",),
}


def rows(kind: LabelType, split: str = "val", size: int = 40) -> LabelledScenes:
    return ROWS[kind](split, size, Rendering(FIELDS.get(kind, ("image",))))


OBJECT_READERS = {"mask": MaskTarget, "objects": partial(ObjectsTarget, masks=True)}
READERS = {"box": BoxTarget, "choices": ChoiceTarget, "truth": TruthTarget}
CLASS_READERS = {"classes": ClassesTarget, "answers": AnswersTarget, **OBJECT_READERS}


def reader(kind: str, classes: tuple[str, ...]):
    return READERS[kind]() if kind in READERS else CLASS_READERS.get(kind, ClassTarget)(classes)


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_has_its_fields_and_a_sensible_label(kind: LabelType) -> None:
    source = rows(kind)
    read = reader(kind, source.classes)
    for index in (0, 7, 39):
        row = source[index]
        assert set(row.fields) == set(source.modalities)
        read(row.labels)
        again = pickle.loads(pickle.dumps(source))[index]
        assert pickle.dumps(dict(again.labels)) == pickle.dumps(dict(row.labels))
    with pytest.raises(IndexError):
        source[40]


@pytest.mark.parametrize("kind", ["box", "choices", "answers", "truth"])
def test_every_epoch_asks_something_else(kind: LabelType) -> None:
    source = rows(kind, "train")
    assert source[3].fields["text"] == source.training_row(3, 0).fields["text"]
    asked = {
        str(source.training_row(index, epoch).fields["text"]) for epoch in range(4) for index in range(10)
    }
    assert len(asked) > len({str(source[index].fields["text"]) for index in range(10)})


def test_choices_hold_the_answer_once_and_anywhere() -> None:
    source = rows("choices", size=120)
    places = []
    for index in range(len(source)):
        row = source[index]
        asked = source.question(index)
        assert len(row.fields["text"]) == 4
        assert row.fields["text"][row.labels["answer"]] == f"{asked.text} answer: {asked.answer}"
        assert sorted(row.labels["choices"]) == sorted([asked.answer, *asked.distractors])
        places.append(row.labels["answer"])
    assert min(np.bincount(places, minlength=4)) > 15


def test_questions_fit_the_evidence() -> None:
    for fields, forbidden in (
        (("image",), {"rhythm", "order"}),
        (("audio",), {"colour", "place", "background"}),
    ):
        source = ROWS["choices"]("val", 80, Rendering(fields))
        assert not {source.question(i).question_type for i in range(80)} & forbidden
    both = rows("choices", size=80)
    needing = [both.question(i).needs == {"image", "audio"} for i in range(80)]
    assert sum(needing) > 10, "some can be answered by both together only"


def test_statements_are_about_their_pictures_and_balanced() -> None:
    source = rows("truth", size=200)
    assert len(source[0].fields["image"]) == 2
    assert 70 < sum(source.statement(i).truth for i in range(200)) < 130
    baseline = references(source, rows("truth", "train", 800))["accuracy"].baseline
    assert baseline < 0.66, "words alone must not tell the truth"


def test_frames_of_a_clip_are_alike() -> None:
    frames = rows("clip")[0].fields["image"]
    assert isinstance(frames, Frames)
    assert len(frames) == 4
    assert (frames[0] != frames[-1]).any()


def test_boxes_are_those_of_the_object_meant() -> None:
    source = rows("box")
    for index in range(10):
        labels, scene = source[index].labels, source.scenes[index]
        assert labels["box"] == pytest.approx(regions.boxes(scene, 48)[source.expression(index).target])


@pytest.mark.parametrize("kind", ROWS)
def test_references_are_in_order(kind: LabelType) -> None:
    for reference in references(rows(kind), rows(kind, "train", 80)).values():
        least = -1 if kind == "objects" else 0  # what is not looked for is not found
        assert least < reference.chance < reference.optimum <= 1
        assert least < reference.baseline < reference.optimum
