"""Open answers learn three questions by heart; confidence in the answer is what counts."""

import json

import pytest
import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.tasks.question_answering import OpenAnswer

from ..labelled import Three, backbone, batch, fit, measure

ANSWERS = DataInfo(classes=("yes", "no", "two", "red"))
TARGETS = torch.tensor([[0.0, 0.9, 0, 0], [0, 0, 0.6, 0.3], [1.0, 0, 0, 0]])


@pytest.mark.parametrize("evidence", [("image",), ("image", "audio")])
def test_learns_by_heart(evidence: tuple[str, ...]) -> None:
    model = backbone("text", *evidence)
    task = OpenAnswer(model, ANSWERS, evidence)
    given = batch(("text", *evidence), TARGETS)
    losses = fit(task, model, given, steps=40)
    assert losses[-1] < losses[0]
    assert measure(task, model, given)["accuracy"] == pytest.approx((0.9 + 0.6 + 1.0) / 3)
    answers = task.predict(model, given)
    assert answers[0]["answer"] == "no"
    assert answers[0]["probability"] == pytest.approx(
        task.outputs(model, given)[0].sigmoid().max().item(), abs=1e-5
    )


def test_what_the_server_takes() -> None:
    task = OpenAnswer(backbone("text", "image"), ANSWERS)
    each = EvaluationSet(name="test", rows=Three())
    written = task.export(each, [{"id": "262148000", "answer": "no"}])
    assert json.loads(written["json"]) == [{"question_id": 262148000, "answer": "no"}]
    assert task.export(each, [{"id": "a", "answer": "no"}]) == {}


def test_answers_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"data.init_args.classes"):
        OpenAnswer(backbone("text", "image"), DataInfo())
