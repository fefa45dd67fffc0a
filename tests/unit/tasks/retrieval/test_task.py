"""Retrieval learns three pairs by heart."""

import pytest
import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.tasks.retrieval import Retrieval

from ..labelled import backbone, batch


@pytest.mark.parametrize("gradient", ["local", "exact"])
def test_learns_pairs_by_heart(gradient: str) -> None:
    torch.manual_seed(0)
    pair = ("touch", "text")
    model = backbone(*pair)
    task = Retrieval(model, DataInfo(), pair, gradient)
    model.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        step = task(model, batch(pair, None))
        step.loss.backward()
        optimizer.step()
    assert step.logs["accuracy/touch->text"] == step.logs["accuracy/text->touch"] == 1.0


def test_duplicates_are_no_negatives_where_asked() -> None:
    model, pair = backbone("touch", "text"), ("touch", "text")
    task = Retrieval(model, DataInfo(), pair, ignore_duplicates=True)
    assert task.needs.duplicates
    given = batch(pair, None)
    with pytest.raises(ValueError, match="ignore_duplicates: the batch has no contents"):
        task(model, given)
    plain = Retrieval(model, DataInfo(), pair)(model, given).loss
    distinct, same = torch.arange(3), torch.zeros(3, dtype=torch.int64)
    given.contents = {"touch": distinct, "text": distinct}
    torch.testing.assert_close(task(model, given).loss, plain)
    given.contents = {"touch": distinct, "text": same}
    assert task(model, given).loss.item() == pytest.approx(0.0, abs=1e-6)


def test_lengths_are_trained_beside_the_full_one() -> None:
    pair = ("touch", "text")
    model, given = backbone(*pair), batch(pair, None)
    width = model.config.width
    plain = Retrieval(model, DataInfo(), pair)(model, given)
    task = Retrieval(model, DataInfo(), pair, matryoshka_dims=[width, 2], matryoshka_weights=[1.0, 3.0])
    nested = task(model, given)
    assert model.matryoshka_dims == (width, 2)
    assert not torch.equal(nested.loss, plain.loss)
    assert nested.logs.keys() - plain.logs.keys() == {"accuracy_2/touch->text", "accuracy_2/text->touch"}


def test_mistakes_are_named() -> None:
    model = backbone("touch", "text")
    for pair, message in (
        (("touch", "touch"), "not two modalities"),
        (("touch", "image"), "no modality 'image'"),
    ):
        with pytest.raises(ValueError, match=message):
            Retrieval(model, DataInfo(), pair)
