"""Classification learns three rows by heart, of any modality and with every pooling; mistakes are named."""

import math

import pytest
import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.metrics import LabelledResult
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.tasks.classification.task import mean_average_precision

from ..labelled import Three, backbone, batch, evaluated, fit, measure

KINDS = DataInfo(classes=("bell", "drum", "horn", "bee"))
TARGETS = torch.tensor([2, 0, 3])


@pytest.mark.parametrize("pooling", ["attention", "cls", "mean"])
@pytest.mark.parametrize("modality", ["text", "image", "audio", "touch"])
def test_learns_rows_by_heart(modality: str, pooling: str) -> None:
    model = backbone(modality)
    task = Classification(model, KINDS, modality, pooling, top=2)
    given = batch((modality,), TARGETS)
    losses = fit(task, model, given)
    assert losses[-1] < 0.3 * losses[0]
    found = measure(task, model, given)
    assert found["three/accuracy"] == found["accuracy"] == 1.0
    assert found["accuracy_top2"] == 1.0
    result = evaluated(task, model, given).results["three"]
    assert isinstance(result, LabelledResult)
    assert result.rows == 3
    answers = task.predict(model, given)
    assert [answer["class"] for answer in answers] == ["horn", "bell", "bee"]
    assert all(0 < p <= 1 for answer in answers for p in answer["probabilities"].values())


def test_what_the_passes_do_not_reach_does_not_train() -> None:
    model = backbone("image", "text")
    task = Classification(model, KINDS, "image", "mean")
    model.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not [
        n for n in names if n.startswith(("encoder.projections", "encoder.transformer.norms", "logit_scale"))
    ]
    assert not [n for n in names if "text" in n]
    task = Classification(model, KINDS, "image")
    model.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    assert dict(model.named_parameters())["encoder.transformer.norms.image.weight"].requires_grad


def test_several_labels() -> None:
    model = backbone("audio")
    task = MultiLabelClassification(model, KINDS)
    targets = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
    given = batch(("audio",), targets)
    losses = fit(task, model, given)
    assert losses[-1] < 0.3 * losses[0]
    assert measure(task, model, given)["mAP"] == pytest.approx(1.0), (
        "a class that never occurs does not count"
    )
    assert [answer["classes"] for answer in task.predict(model, given)] == [
        ["bell", "horn"],
        ["drum"],
        ["bell", "drum"],
    ]


@pytest.mark.parametrize("occurring", [0, 1, 2, 3])
def test_precision_is_a_mean_over_the_classes_that_occur(occurring: int) -> None:
    targets = torch.zeros(6, 4)
    targets[0, :occurring] = targets[3, :occurring] = 1
    scores = torch.tensor([[0.1 * row + 0.01 * kind for kind in range(4)] for row in (4, 3, 2, 5, 1, 0)])
    found = mean_average_precision(scores, targets)
    assert float(found) == pytest.approx(1.0) if occurring else math.isnan(found)


def test_a_topic_without_any_class_has_no_precision() -> None:
    model = backbone("touch")
    task = MultiLabelClassification(model, KINDS, "touch")
    given = batch(("touch",), torch.eye(4)[:3] * torch.tensor([[1], [1], [0]]))
    given.labels = [{"group": "loud"}, {"group": "loud"}, {"group": "quiet"}]
    found = measure(task, model, given)
    assert "three/loud/mAP" in found
    assert "three/quiet/mAP" not in found
    assert evaluated(task, model, given).results["three"].counts == {"loud": 2, "quiet": 1}


def test_loss_of_several_labels_is_summed_over_classes() -> None:
    task = MultiLabelClassification(backbone("audio"), KINDS)
    outputs, targets = torch.zeros(2, 4), torch.zeros(2, 4)
    assert task.loss(outputs, targets).item() == pytest.approx(4 * 0.6931472)


def test_results_come_by_topic_too() -> None:
    model = backbone("touch")
    task = Classification(model, KINDS, "touch")
    labels = [{"group": "loud"}, {"group": "soft"}, {"group": "loud"}]
    given = batch(("touch",), TARGETS, labels)
    found = measure(task, model, given)
    assert {"three/loud/accuracy", "three/soft/accuracy"} <= found.keys()
    assert evaluated(task, model, given).results["three"].counts == {"loud": 2, "soft": 1}


@torch.no_grad()
def test_rows_without_a_topic_belong_to_no_group() -> None:
    model = backbone("touch")
    task = Classification(model, KINDS, "touch")
    evaluator = task.evaluator([EvaluationSet(name="three", rows=Three())])
    for labels, rows in (([{}, {"group": "soft"}, {}], [0, 1, 2]), ([{}] * 3, [3, 4, 5])):
        given = batch(("touch",), TARGETS, labels)
        given.indices = torch.tensor(rows)
        evaluator.update(model, given, 0)
    found = evaluator.compute()
    assert evaluator.results["three"].counts == {"soft": 1}
    assert {"three/accuracy", "three/soft/accuracy"} <= found.keys()
    assert evaluator.results["three"].rows == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "smell"}, r"no modality 'smell' to classify; the backbone has text"),
        ({"modality": "text", "label_smoothing": 1.0}, r"label_smoothing=1.0"),
    ],
)
def test_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classification(backbone("text"), KINDS, **options)


def test_classes_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"data.init_args.classes"):
        Classification(backbone("text"), DataInfo(), "text")
    task = Classification(backbone("text"), KINDS, "text")
    with pytest.raises(ValueError, match=r"connect\(task.needs\)"):
        task(backbone("text"), batch(("text",), None))
