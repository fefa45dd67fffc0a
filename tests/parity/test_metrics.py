"""Accuracy, average precision and box accuracy of the original's own evaluation."""

import json

import pytest
import torch
from safetensors.torch import load_file

from onepeace_pl.backbone import Backbone, DecoderOptions
from onepeace_pl.data.facts import DataFacts
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.question_answering import OpenAnswer

from .reference import TRANSFORMER, adapters

FIVE = DataFacts(classes=("a", "b", "c", "d", "e"))


@pytest.fixture
def files(golden):
    return load_file(golden / "metrics.safetensors"), json.loads((golden / "metrics.json").read_text())


@pytest.fixture
def backbone():
    return Backbone(adapters(("text", "image")), TRANSFORMER, DecoderOptions(depth=0))


def test_accuracy(files, backbone):
    x, expected = files
    hard = Classification(backbone, FIVE).measure(x["accuracy.logits"], x["accuracy.hard"])
    assert hard["accuracy"].mean().item() == pytest.approx(expected["accuracy_hard"]["accuracy"])
    soft = OpenAnswer(backbone, FIVE).measure(x["accuracy.logits"], x["accuracy.soft"])
    assert soft["accuracy"].mean().item() == pytest.approx(expected["accuracy_soft"]["accuracy"])


def test_average_precision(files, backbone):
    x, expected = files
    task = MultiLabelClassification(backbone, FIVE, modality="image")
    columns = task.measure(x["map.logits"], x["map.targets"].float())
    found = task.summarise({name: values.numpy() for name, values in columns.items()})
    assert found["mAP"] == pytest.approx(expected["mean_average_precision"]["map"], rel=1e-6)


def test_box_accuracy(files, backbone):
    x, expected = files
    found = Grounding(backbone, DataFacts()).measure(x["iou.predicted"], x["iou.reference"])
    assert found["accuracy"].mean().item() == pytest.approx(expected["iou_accuracy"]["iou_acc"])
    assert torch.equal(found["accuracy"], (found["iou"] >= 0.5).float())
