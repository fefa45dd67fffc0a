"""Zero-shot classification by prompts."""

import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.prompts import Prompts
from onepeace_pl.data.evaluation.sets import EvaluationSet
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
    evaluator = task.evaluator([EvaluationSet(name="three", rows=Three(), prompts=prompts)])
    given = batch(("touch",), torch.tensor([0, 1, 1]))
    vectors = model.embed({"text": sentences})["text"]
    classes = F.normalize(torch.stack([vectors[:2].mean(0), vectors[2:].mean(0)]), dim=-1)
    expected = (model.embed({"touch": given.inputs["touch"]})["touch"] @ classes.T).argmax(-1)
    evaluator.update(model, given, 0)
    found = evaluator.compute()
    assert found["accuracy"] == pytest.approx((expected == given.targets).float().mean().item())
    assert not list(task.parameters())
    again = ZeroShotClassification(model, TWO, "touch")
    answers = again.predict(model, given, EvaluationSet(name="three", rows=Three(), prompts=prompts))
    assert [TWO.classes.index(answer["class"]) for answer in answers] == expected.tolist()


@torch.no_grad()
def test_an_evaluation_embeds_the_prompts_with_the_weights_at_hand() -> None:
    model = make(("text", "touch"), decoder=False)
    task = ZeroShotClassification(model, TWO, "touch")
    prompts = (Prompts(torch.tensor([0, 1]), field("text", (0, 1))),)
    each, given = EvaluationSet(name="three", rows=Three(), prompts=prompts), batch(("touch",), None)
    task.evaluator([each])
    first = task.outputs(model, given)
    for parameter in model.encoder.projections["text"].parameters():
        parameter.copy_(torch.randn_like(parameter))
    assert torch.equal(task.outputs(model, given), first)
    task.eval()
    assert not torch.equal(task.outputs(model, given), first)


def test_without_prompts_the_error_names_the_option() -> None:
    task = ZeroShotClassification(make(("text", "touch"), decoder=False), TWO, "touch")
    with pytest.raises(ValueError, match=r"data.init_args.prompts"):
        task.evaluator([EvaluationSet(name="three", rows=Three())])


def test_refuses_to_train() -> None:
    model = make(("text", "touch"), decoder=False)
    task = ZeroShotClassification(model, TWO, "touch")
    with pytest.raises(ValueError, match="trains nothing"):
        task(model, batch(("touch",), torch.zeros(3, dtype=torch.long)))
