"""Zero-shot: classes are told apart by the sentences that name them."""

import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet, Prompts
from onepeace_pl.tasks.classification import ZeroShotClassification

from ...samples import field, make
from ..labelled import Three, batch

TWO = DataInfo(classes=("bell", "drum"))


@torch.no_grad()
def test_nearest_sentence_wins() -> None:
    model = make(("text", "touch"), decoder=False)
    task = ZeroShotClassification(model, TWO, "touch")
    sentences = field("text", (0, 1, 2, 0))  # two sentences for each class
    prompts = (
        Prompts(torch.tensor([1, 0, 1]), field("text", (2, 1, 0))),
        Prompts(torch.tensor([0]), field("text", (0,))),
    )
    task.start_evaluation([EvaluationSet(name="three", rows=Three(), prompts=prompts)])
    given = batch(("touch",), torch.tensor([0, 1, 1]))
    vectors = model.embed({"text": sentences})["text"]
    classes = F.normalize(torch.stack([vectors[:2].mean(0), vectors[2:].mean(0)]), dim=-1)
    expected = (model.embed({"touch": given.inputs["touch"]})["touch"] @ classes.T).argmax(-1)
    task.evaluate(model, given, 0)
    found = task.finish_evaluation()
    assert found["accuracy"] == pytest.approx((expected == given.targets).float().mean().item())
    assert not list(task.parameters())
    again = ZeroShotClassification(model, TWO, "touch")
    again.start_prediction([EvaluationSet(name="three", rows=Three(), prompts=prompts)])
    answers = again.predict(model, given)
    assert [TWO.classes.index(answer["class"]) for answer in answers] == expected.tolist()


def test_without_sentences_it_says_what_to_do() -> None:
    task = ZeroShotClassification(make(("text", "touch"), decoder=False), TWO, "touch")
    with pytest.raises(ValueError, match=r"data.init_args.prompts"):
        task.start_evaluation([EvaluationSet(name="three", rows=Three())])


def test_refuses_to_train() -> None:
    model = make(("text", "touch"), decoder=False)
    task = ZeroShotClassification(model, TWO, "touch")
    with pytest.raises(ValueError, match="trains nothing"):
        task(model, batch(("touch",), torch.zeros(3, dtype=torch.long)))
