"""Accuracy, average precision and box accuracy of the original's own evaluation."""

import pytest
import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.classification.task import mean_average_precision
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.question_answering import OpenAnswer

from .files import record, tensors
from .reference import NO_DECODER, adapters, transformer


def data_info(logits):
    return DataInfo(classes=tuple(map(str, range(logits.shape[-1]))))


@pytest.fixture
def files(golden):
    return tensors(golden, "metrics"), record(golden, "metrics")


@pytest.fixture
def backbone(golden):
    return Backbone(adapters(golden, ("text", "image")), transformer(golden), NO_DECODER)


def test_accuracy(files, backbone):
    x, expected = files
    classes = data_info(x["accuracy.logits"])
    hard = Classification(backbone, classes).metrics(x["accuracy.logits"], x["accuracy.hard"])
    assert hard["accuracy"].mean().item() == pytest.approx(expected["accuracy_hard"]["accuracy"])
    soft = OpenAnswer(backbone, classes).metrics(x["accuracy.logits"], x["accuracy.soft"])
    assert soft["accuracy"].mean().item() == pytest.approx(expected["accuracy_soft"]["accuracy"])


def test_average_precision(files):
    x, expected = files
    scores, targets = x["map.logits"].float().sigmoid(), x["map.targets"].float()
    found = mean_average_precision(scores, targets)
    assert float(found) == pytest.approx(expected["mean_average_precision"]["map"], rel=1e-6)


def test_box_accuracy(files, backbone):
    x, expected = files
    found = Grounding(backbone, DataInfo()).metrics(x["iou.predicted"], x["iou.reference"])
    assert found["accuracy"].mean().item() == pytest.approx(expected["iou_accuracy"]["iou_acc"])
    assert torch.equal(found["accuracy"], (found["iou"] >= 0.5).float())
