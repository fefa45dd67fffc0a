"""Grounding learns three boxes by heart; its loss is a number even where no box is in order."""

import pytest
import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.tasks.grounding import Grounding

from ..labelled import backbone, batch, fit, measure

BOXES = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.9, 1.0], [0.0, 0.1, 0.2, 0.4]])
PAIR = ("text", "image")


@pytest.mark.parametrize("pool", PAIR)
def test_learns_boxes_by_heart(pool: str) -> None:
    model = backbone(*PAIR)
    task = Grounding(model, DataInfo(), pool)
    given = batch(PAIR, BOXES, [{"image_size": (200, 100)}, {}, {}])
    losses = fit(task, model, given, steps=60)
    assert losses[-1] < 0.4 * losses[0]
    found = measure(task, model, given)
    assert found["accuracy"] == 1.0
    assert found["iou"] > 0.6
    first, second, _ = task.predict(model, given)
    assert first["box"] == pytest.approx([20, 20, 100, 60], abs=30)
    assert max(second["box"]) <= 1.0


def test_loss_without_a_box_in_order_is_a_number() -> None:
    task = Grounding(backbone(*PAIR), DataInfo())
    outputs = torch.tensor([[0.9, 0.9, 0.1, 0.1]], requires_grad=True)
    loss = task.loss(outputs, BOXES[:1])
    assert loss.item() == pytest.approx(0.8 + 0.7 + 0.4 + 0.5)
    loss.backward()
    assert torch.isfinite(outputs.grad).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "train_crop to null"),
        ({"train_crop": None, "fit": "centre_crop"}, "fit to squash"),
        ({"train_crop": None, "train_flip": 0.5}, "train_flip to 0"),
    ],
)
def test_crops_and_flips_are_refused(options: dict, message: str) -> None:
    task = Grounding(backbone(*PAIR), DataInfo())
    with pytest.raises(ValueError, match=message):
        task.needs.processors["image"](ImageProcessor(64, **options))
