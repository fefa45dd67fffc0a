"""Retrieval learns three pairs by heart."""

import pytest
import torch

from onepeace_pl.data.facts import DataFacts
from onepeace_pl.tasks.retrieval import Retrieval

from ..labelled import backbone, batch


@pytest.mark.parametrize("gradient", ["local", "exact"])
def test_learns_pairs_by_heart(gradient: str) -> None:
    torch.manual_seed(0)
    pair = ("touch", "text")
    model = backbone(*pair)
    task = Retrieval(model, DataFacts(), pair, gradient)
    model.apply_stage(task.modalities, until=task.until)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        step = task(model, batch(pair, None))
        step.loss.backward()
        optimizer.step()
    assert step.logs["accuracy/touch->text"] == step.logs["accuracy/text->touch"] == 1.0


def test_mistakes_are_named() -> None:
    model = backbone("touch", "text")
    for pair, message in (
        (("touch", "touch"), "not two modalities"),
        (("touch", "image"), "no modality 'image'"),
    ):
        with pytest.raises(ValueError, match=message):
            Retrieval(model, DataFacts(), pair)
