"""Two pictures and a statement: learnt by heart, and the order of the pictures can matter."""

from functools import partial

import pytest
import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.tasks.visual_reasoning import VisualReasoning

from ...samples import ADAPTERS, field
from ..labelled import backbone, batch, fit, measure

TARGETS = torch.tensor([0, 1, 0])
TYPED = {"text": partial(ADAPTERS["text"], types=1), "image": partial(ADAPTERS["image"], types=2)}


def test_learns_by_heart() -> None:
    model = backbone("text", "image", adapters=TYPED)
    task = VisualReasoning(model, DataInfo())
    given = batch(("text", "image"), TARGETS, image=field("image", (0, 1, 1, 2, 2, 0)))
    losses = fit(task, model, given, steps=15)
    assert losses[-1] < 0.4 * losses[0]
    assert measure(task, model, given)["accuracy"] == 1.0
    assert [answer["truth"] for answer in task.predict(model, given)] == [True, False, True]


def test_the_second_picture_is_known_from_the_first() -> None:
    model = backbone("text", "image", adapters=TYPED)
    for adapter in model.encoder.adapters.values():
        torch.nn.init.normal_(adapter.type_embeddings)
    task = VisualReasoning(model, DataInfo())
    here = task.outputs(model, batch(("text", "image"), TARGETS, image=field("image", (0, 1, 0, 1, 0, 1))))
    there = task.outputs(model, batch(("text", "image"), TARGETS, image=field("image", (1, 0, 1, 0, 1, 0))))
    assert not torch.allclose(here, there, atol=1e-4)


def test_one_picture_is_not_enough() -> None:
    model = backbone("text", "image")
    with pytest.raises(ValueError, match="1 values of image a row, and the task reads 2"):
        VisualReasoning(model, DataInfo())(model, batch(("text", "image"), TARGETS))
