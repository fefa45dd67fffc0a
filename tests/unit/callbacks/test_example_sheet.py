"""The picture of examples: results of every type, of images, sounds and texts, right and wrong."""

from typing import Any

import numpy as np
import pytest

from onepeace_pl.callbacks.example_sheet import RIGHT, UNKNOWN, WRONG, draw_examples
from onepeace_pl.data.source import Row, as_source
from onepeace_pl.results import (
    AnswerResult,
    BoxResult,
    ChoiceResult,
    ClassificationResult,
    MultiLabelResult,
    PlainResult,
    Result,
    StatementResult,
)
from onepeace_pl.results.drawing import TRUE
from onepeace_pl.results.examples import Example, Examples

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
SOUND = (np.sin(np.arange(8000) * 0.3).astype(np.float32), 16000)
LONG = "a very long description of what there is to be seen and heard " * 20
CLASSES = ("bell", "drum", "a class with a name that is much too long for the width of a tile")
CASES: dict[str, tuple[type[Result], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "image": (
        ClassificationResult,
        {"image": IMAGE},
        {"class": "bell", "probabilities": {"bell": 0.7, CLASSES[2]: 0.3}},
        {"class": CLASSES[2], "probability": 0.3},
    ),
    "sound": (
        MultiLabelResult,
        {"audio": SOUND},
        {"classes": ["bell"], "probabilities": {"bell": 0.9, "drum": 0.2}},
        {"classes": ["drum", "bell"]},
    ),
    "text": (
        ClassificationResult,
        {"text": LONG},
        {"class": "bell", "probabilities": {"bell": 1.0}},
        {"class": "bell"},
    ),
    "question": (
        AnswerResult,
        {"image": IMAGE, "text": "which colour?"},
        {"answer": "red", "probability": 0.8},
        {"answers": {"red": 0.3, "blue": 1.0}},
    ),
    "choices": (
        ChoiceResult,
        {"audio": SOUND, "image": IMAGE, "text": ("a bell", "a drum")},
        {"answer": 0, "scores": [2.0, -1.0]},
        {"answer": 1},
    ),
    "statement": (
        StatementResult,
        {"image": (IMAGE, IMAGE[:20]), "text": "both are noise"},
        {"truth": True, "probability": 0.9},
        {"truth": False},
    ),
    "box": (
        BoxResult,
        {"image": IMAGE, "text": "the left one"},
        {"box": [2.0, 3.0, 20.0, 30.0]},
        {"box": [10.0, 3.0, 50.0, 30.0]},
    ),
    "frames": (
        ClassificationResult,
        {"image": (IMAGE,) * 16},
        {"class": "bell", "probabilities": {"bell": 1.0}},
        {"class": "bell"},
    ),
    "plug-in": (PlainResult, {"touch": np.zeros((4, 9), np.float32)}, {"value": 2.5}, {"target": 3.0}),
}


def sheet(case: str, **judged: bool | None) -> np.ndarray:
    """Return the picture with one example of each section."""
    kind, inputs, prediction, truth = CASES[case]
    rows = as_source([Row(f"folder/with/a/very/long/name/of/a/row/{n}.png", inputs) for n in range(3)])
    examples = {
        name: (Example(number, prediction, truth, 0.5, right),)
        for number, (name, right) in enumerate(judged.items())
    }
    whole = {"worst": (), "wrong": (), "right": (), **examples}
    return draw_examples(Examples(kind, CLASSES, **whole), rows, "set: predictions")


def has(picture: np.ndarray, colour: tuple[int, int, int], least: int = 50) -> bool:
    return int((picture == np.array(colour)).all(-1).sum()) >= least


@pytest.mark.parametrize("case", CASES)
def test_every_result_has_a_tile_with_what_is_true(case: str) -> None:
    picture = sheet(case, worst=False, right=True)
    assert picture.shape[1] < 1200
    assert picture.shape[0] < 1600
    for colour in (WRONG, RIGHT, TRUE):
        assert has(picture, colour), colour


def test_without_right_and_wrong_frames_are_grey() -> None:
    picture = sheet("plug-in", worst=None, right=None)
    assert has(picture, UNKNOWN)
    assert not has(picture, WRONG)
    assert not has(picture, RIGHT)


def test_text_is_drawn_on_a_tile_and_does_not_leave_it() -> None:
    picture = sheet("text", worst=False)
    red = (picture == np.array(WRONG)).all(-1)
    right_edge = np.where(red.any(0))[0].max()
    below = picture[np.where(red.any(1))[0].min() :]
    assert (below[:, right_edge + 1 :] == 255).all()


@pytest.mark.parametrize("case", ["image", "box", "sound"])
def test_results_are_drawn_without_truth_and_at_their_own_size(case: str) -> None:
    kind, inputs, prediction, truth = CASES[case]
    result = kind.from_prediction("a", inputs, prediction, CLASSES)
    assert result.plot().width >= 320
    assert result.plot(size=200).width == 200
    assert np.asarray(result.plot(truth)).shape[0] >= np.asarray(result.plot()).shape[0]
