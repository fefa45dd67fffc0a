"""What tasks give to the report: results by class, and examples whose truth the results of the task can draw."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.metrics import LabelledResult
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.question_answering import MultipleChoice, OpenAnswer
from onepeace_pl.tasks.visual_reasoning import VisualReasoning
from onepeace_pl.training.task import SupervisedTask

from ..samples import field
from .labelled import backbone, batch, evaluated

NAMES = ("bell", "drum", "horn", "bee")
CLASSES = DataInfo(classes=NAMES)
IMAGE = np.zeros((20, 30, 3), np.uint8)
CONFIDENCES = torch.tensor([[0.0, 0.9, 0, 0], [0, 0, 0.6, 0.3], [0.0, 0, 0, 0]])
Made = tuple[SupervisedTask, Batch, list[dict[str, Any]], dict[str, Any], list[str]]


def classification(model: Backbone) -> Made:
    task = Classification(model, CLASSES, "image")
    truths = [{"class": "horn"}, {"class": "bell"}, {"class": "bee"}]
    return task, batch(("image",), torch.tensor([2, 0, 3])), truths, {"image": IMAGE}, list(NAMES)


def several(model: Backbone) -> Made:
    task = MultiLabelClassification(model, CLASSES, "image")
    given = batch(("image",), torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]))
    truths = [{"classes": ["bell", "horn"]}, {"classes": []}, {"classes": ["bell", "drum"]}]
    return task, given, truths, {"image": IMAGE}, list(NAMES)


def answers(model: Backbone) -> Made:
    truths = [{"answers": {"drum": 0.9}}, {"answers": {"horn": 0.6, "bee": 0.3}}, {"answers": {}}]
    inputs = {"image": IMAGE, "text": "what?"}
    return OpenAnswer(model, CLASSES), batch(("text", "image"), CONFIDENCES), truths, inputs, list(NAMES)


def choices(model: Backbone) -> Made:
    task, texts = MultipleChoice(model, DataInfo(), ("image",)), field("text", (0, 1, 2, 0, 1, 2))
    given = batch(("text", "image"), torch.tensor([1, 0, 1]), text=texts)
    return (
        task,
        given,
        [{"answer": 1}, {"answer": 0}, {"answer": 1}],
        {"image": IMAGE, "text": ("a", "b")},
        [],
    )


def statements(model: Backbone) -> Made:
    given = batch(("text", "image"), torch.tensor([0, 1, 0]), image=field("image", (0, 1, 1, 2, 2, 0)))
    truths = [{"truth": True}, {"truth": False}, {"truth": True}]
    inputs = {"image": (IMAGE, IMAGE), "text": "so"}
    return VisualReasoning(model, DataInfo()), given, truths, inputs, ["true", "false"]


def boxes(model: Backbone) -> Made:
    targets = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.9, 1.0], [0.0, 0.25, 0.5, 0.75]])
    given = batch(("text", "image"), targets, [{"image_size": (30, 20)}] * 3)
    truths = [{"box": [3, 4, 15, 12]}, {"box": [15, 10, 27, 20]}, {"box": [0, 5, 15, 15]}]
    return Grounding(model, DataInfo()), given, truths, {"image": IMAGE, "text": "it"}, []


@torch.no_grad()
@pytest.mark.parametrize("make", [classification, several, answers, choices, statements, boxes])
def test_examples_and_classes(make: Callable[[Backbone], Made]) -> None:
    model = backbone("text", "image")
    task, given, truths, inputs, classes = make(model)
    result = evaluated(task, model, given).results["three"]
    assert isinstance(result, LabelledResult)
    assert result.examples is not None
    examples = [*result.examples.worst, *result.examples.wrong, *result.examples.right]
    assert sorted(example.index for example in examples) == [0, 1, 2]
    right = 0
    for example in examples:
        truth = {name: example.truth[name] for name in truths[example.index]}
        expected = truths[example.index]
        if "box" in truth:
            assert truth["box"] == pytest.approx(expected["box"], abs=1e-3)
        elif "answers" in truth:
            assert truth["answers"] == pytest.approx(expected["answers"])
        else:
            assert truth == expected
        shown = result.examples.result_type.from_prediction("a", inputs, example.prediction, NAMES)
        plain, with_truth = shown.plot(size=200), shown.plot(example.truth, 200)
        assert plain.size != with_truth.size or plain.tobytes() != with_truth.tobytes()
        right += bool(example.right)
    if "accuracy" in result.metrics and not isinstance(task, OpenAnswer):
        assert result.metrics["accuracy"] == pytest.approx(right / 3)
    errors = [example.error for example in result.examples.worst]
    assert errors == sorted(errors, reverse=True)
    found = [] if result.by_class is None else list(result.by_class.classes)
    assert found == classes
    if isinstance(task, OpenAnswer):
        assert result.by_class is not None
        assert result.by_class.support.sum() == 2, "a row without an answer of the vocabulary has no class"
