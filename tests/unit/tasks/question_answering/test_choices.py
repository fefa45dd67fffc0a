"""Multiple choice learns three questions by heart, about one modality or several read together."""

import pytest
import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.tasks.question_answering import MultipleChoice

from ...samples import field
from ..labelled import backbone, batch, fit, measure

TARGETS = torch.tensor([1, 0, 1])


@pytest.mark.parametrize("objective", ["hinge", "cross_entropy"])
@pytest.mark.parametrize("evidence", [("audio",), ("image",), ("image", "audio"), ("touch",)])
def test_learns_by_heart(evidence: tuple[str, ...], objective: str) -> None:
    model = backbone("text", *evidence)
    task = MultipleChoice(model, DataInfo(), evidence, objective)
    choices = field("text", (0, 1, 2, 0, 1, 2))  # two for each of three questions
    given = batch(("text", *evidence), TARGETS, [{"choices": ["yes", "no"]}] * 3, text=choices)
    losses = fit(task, model, given, steps=15)
    assert losses[-1] < losses[0]
    assert measure(task, model, given)["accuracy"] == 1.0
    assert [answer["text"] for answer in task.predict(model, given)] == ["no", "yes", "no"]


def test_hinge_counts_the_right_answer_too() -> None:
    task = MultipleChoice(backbone("text", "audio"), DataInfo())
    outputs = torch.tensor([[5.0, 0.0, 4.5, 0.0]])
    assert task.loss(outputs, torch.tensor([0])).item() == pytest.approx(1.0 + 0.5)


def test_evidence_is_read_once_for_all_choices() -> None:
    """Repeating what the stem has made is the same as repeating the raw input."""
    model = backbone("text", "audio")
    task = MultipleChoice(model, DataInfo(), ("audio",))
    choices = field("text", (0, 1, 2, 0, 1, 2))
    given = batch(("text", "audio"), TARGETS, text=choices)
    from onepeace_pl.backbone import ForwardPass

    (features,), _ = model(
        {"text": choices, "audio": field("audio", (0, 0, 1, 1, 2, 2))},
        [ForwardPass(("text", "audio"), stop_after="norm")],
    )
    expected = task.head(features, "text").view(3, 2)
    assert torch.allclose(task.outputs(model, given), expected, atol=1e-5)


def test_mistakes_are_named() -> None:
    model = backbone("text", "audio")
    for evidence, message in (
        ((), "name what questions are about"),
        (("text",), "name what"),
        (("image",), "'image'"),
    ):
        with pytest.raises(ValueError, match=message):
            MultipleChoice(model, DataInfo(), evidence)
    task = MultipleChoice(model, DataInfo(), ("audio",))
    with pytest.raises(ValueError, match="1 values of text a row, and the task reads 2 or more"):
        task(model, batch(("text", "audio"), TARGETS))
