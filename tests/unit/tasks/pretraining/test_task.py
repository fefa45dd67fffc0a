"""Pretraining on a tiny synthetic set of pairs: losses fall, switches act, mistakes are named."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.backbone import Backbone, Extend
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.modalities.masking import RandomTokens, WholeWords
from onepeace_pl.optim import build_optimizer
from onepeace_pl.tasks.pretraining import ComposedQuery, Pretraining, Student
from onepeace_pl.training.task import TaskOutput

from ...samples import LENGTHS, fields, make

ALONE = Student({"touch": RandomTokens(0.5)}, {"touch": 1.0}, "own")
BOTH = Student(
    {"text": WholeWords(0.4), "touch": RandomTokens(0.4)}, {"text": 0.5, "touch": 0.5}, "joint", apart=True
)
STUDENTS = {"touch": ALONE, "both": BOTH}
PAIR = ("text", "touch")


def backbone(**options: Any) -> Backbone:
    made = make(PAIR, noise=0.0, **options)
    torch.nn.init.constant_(made.logit_scale, 2.0)
    return made


def pretraining(model: Backbone, students: dict[str, Student] | None = None, **options: Any) -> Pretraining:
    given = STUDENTS if students is None else students
    task = Pretraining(model, DataInfo(), PAIR, given, **options)
    model.apply_stage(task.reads.modalities, task.reads.reconstructs)
    return task


def batch(task: Pretraining, epoch: int = 0, rows: int = 3) -> Batch:
    inputs = {
        name: replace(x, values=x.values[:rows], padding=None if x.padding is None else x.padding[:rows])
        for name, x in fields(PAIR).items()
    }
    lengths = {name: torch.tensor(LENGTHS[name])[:rows] for name in PAIR}
    starts = {"text": [torch.ones(n, dtype=torch.bool) for n in LENGTHS["text"]], "touch": [None] * 3}
    inputs |= {name: inputs[modality_of(name)] for name in task.needs.fields}
    made = Batch(["a", "b", "c"][:rows], torch.arange(rows), epoch, inputs, lengths, starts)
    make = task.needs.batch_transform
    transform = None if make is None else make(0)
    return made if transform is None else transform(made)


def step(task: Pretraining, model: Backbone, epoch: int = 0) -> TaskOutput:
    result = task(model, batch(task, epoch))
    assert isinstance(result, TaskOutput)
    return result


@pytest.mark.parametrize("gradient", ["local", "exact"])
@pytest.mark.parametrize("denoising", ["none", "contrastive", "smooth_l1", "l2", "cosine"])
def test_losses_fall(denoising: str, gradient: str) -> None:
    model = backbone().train()
    task = pretraining(model, denoising=denoising, gradient=gradient)
    optimizer = build_optimizer(model, lambda groups: torch.optim.AdamW(groups, lr=3e-3))
    story: list[dict[str, float]] = []
    for epoch in range(40):
        optimizer.zero_grad()
        result = step(task, model, epoch)
        result.loss.backward()
        optimizer.step()
        story.append({name: value.item() for name, value in result.logs.items()})
    parts = [name for name in story[0] if name == "align/mean" or name.startswith("denoise/")]
    assert len(parts) == (1 if denoising == "none" else 4)
    for name in parts:
        first, last = (sum(s[name] for s in part) / 5 for part in (story[:5], story[-5:]))
        assert last < first, name
    assert story[-1]["align/mean"] < 0.5 * story[0]["align/mean"]
    assert story[-1]["accuracy/text->touch"] == 1.0


@pytest.mark.parametrize(
    ("students", "options"),
    [
        (STUDENTS, {}),
        ({}, {}),
        (STUDENTS, {"denoising": "none"}),
        ({"touch": ALONE}, {}),
        ({"text": Student({"text": WholeWords(0.4)}, {"text": 1.0})}, {}),
        ({"both": Student(BOTH.hide, {"text": 1.0})}, {}),
        (STUDENTS, {"alignment": 0.0}),
        (STUDENTS, {"composed": [ComposedQuery(("touch", "text:change"), ("text:composed",))]}),
    ],
    ids=[
        "all",
        "no students",
        "no denoising",
        "one alone",
        "the other alone",
        "half a weight",
        "no alignment",
        "composed queries",
    ],
)
@pytest.mark.parametrize("stage", ["vision_language", Extend("touch")], ids=["first", "second"])
@pytest.mark.parametrize("gradient", ["local", "exact"])
def test_what_trains_has_a_gradient_and_nothing_else(
    students: dict[str, Student], options: dict[str, Any], stage: str | Extend, gradient: str
) -> None:
    """As DDP demands."""
    model = backbone(stage=stage).train()
    task = pretraining(model, students, gradient=gradient, **options)
    step(task, model).loss.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_the_loss_is_the_weighted_sum_of_what_is_logged() -> None:
    model = backbone().train()
    weights = {"touch": 1.0, "both.text": 0.5, "both.touch": 0.5}
    result = step(pretraining(model, alignment=0.7), model)
    total = 0.7 * result.logs["align/mean"] + sum(w * result.logs[f"denoise/{n}"] for n, w in weights.items())
    assert result.loss.item() == pytest.approx(total.item(), rel=1e-5)
    halves = result.logs["align/text->touch"] + result.logs["align/touch->text"]
    assert result.logs["align/mean"].item() == pytest.approx(halves.item() / 2, rel=1e-5)
    assert not any(value.requires_grad for value in result.logs.values())


def test_lengths_are_trained_logged_and_kept_in_the_config() -> None:
    model = backbone().train()
    width = model.config.width
    assert model.to_config()["matryoshka_dims"] == []
    plain = step(pretraining(model, {}), model)
    task = pretraining(model, {}, matryoshka_dims=[width // 4, width])
    result = step(task, model)
    assert Backbone.from_config(model.to_config()).matryoshka_dims == (width, width // 4)
    assert result.logs.keys() - plain.logs.keys() == {
        f"accuracy_{width // 4}/text->touch",
        f"accuracy_{width // 4}/touch->text",
    }
    assert torch.equal(result.logs["align/text->touch"], plain.logs["align/text->touch"])
    assert not torch.equal(result.loss, plain.loss)
    with pytest.raises(ValueError, match=f"leaves out the full length; add {width}"):
        pretraining(model, {}, matryoshka_dims=[width // 4])
    with pytest.raises(ValueError, match=f"vectors have {width} values"):
        pretraining(model, {}, matryoshka_dims=[width, 2 * width])


def test_students_without_weight_are_not_run() -> None:
    model = backbone()
    idle = {"touch": Student(ALONE.hide, {"touch": 0.0}, "own"), "both": BOTH}
    task = pretraining(model, idle)
    made = batch(task)
    assert list(task.students) == list(made.masks) == ["both"]
    assert list(task.passes(made)) == ["text", "touch", "teacher", "student both"]
    assert pretraining(model, {"touch": idle["touch"]}).needs.batch_transform is None
    assert pretraining(model, denoising="none").needs.batch_transform is None
    assert list(pretraining(model, {"touch": ALONE}).passes(batch(task_of(model)))) == [
        "text",
        "touch",
        "student touch",
    ]


def test_students_may_read_a_share_of_the_batch() -> None:
    model = backbone().eval()
    shared = pretraining(model, denoising_share=0.6)
    some = step(shared, model).logs
    whole = pretraining(model)
    every, two = step(whole, model).logs, whole(model, batch(whole, rows=2)).logs
    assert torch.equal(some["align/mean"], every["align/mean"])
    names = [name for name in every if name.startswith("denoise/")]
    assert len(names) == 3
    for name in names:
        assert some[name].item() == pytest.approx(two[name].item(), rel=1e-5)
        assert some[name].item() != pytest.approx(every[name].item(), rel=1e-3)
    assert {s.rows for name, s in shared.passes(batch(shared)).items() if name not in PAIR} == {2}
    assert len(batch(pretraining(model, denoising_share=0.01)).masks["touch"]["touch"].keep) == 1
    with pytest.raises(ValueError, match=r"denoising_share=0 must be a share above 0"):
        pretraining(model, denoising_share=0)


CHANGED = ComposedQuery(("touch", "text:change"), ("text:composed",), weight=2.0)


def test_a_joint_vector_learns_its_target() -> None:
    model = backbone().train()
    task = pretraining(model, {}, composed=[CHANGED])
    optimizer = build_optimizer(model, lambda groups: torch.optim.AdamW(groups, lr=3e-3))
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        result = step(task, model)
        result.loss.backward()
        optimizer.step()
        losses.append(result.logs[f"composed/{CHANGED.name}"].item())
    assert losses[-1] < 0.5 * losses[0]
    made = batch(task)
    joint = model.eval().embed_jointly({n: made.inputs[n] for n in CHANGED.query})
    target = model.embed({"text:composed": made.inputs["text:composed"]})["text:composed"]
    assert (joint @ target.T).argmax(1).tolist() == [0, 1, 2]


def test_a_composed_query_adds_its_weighted_loss_and_leaves_its_target_alone() -> None:
    model = backbone().train()
    plain = step(pretraining(model, {}), model)
    result = step(pretraining(model, {}, composed=[CHANGED]), model)
    added = result.logs[f"composed/{CHANGED.name}"]
    assert result.loss.item() == pytest.approx((plain.loss + 2.0 * added).item(), rel=1e-6)
    alone = pretraining(model, {}, alignment=0.0, composed=[ComposedQuery(("touch", "text"), ("text",))])
    passes = alone.passes(batch(alone))
    assert list(passes) == ["text", "touch", "touch+text->text"]


def test_further_pairs_are_aligned_with_the_same_weight() -> None:
    model = backbone().eval()
    task = pretraining(model, {}, alignment=2.0, further_pairs=[("touch", "text:short")])
    assert set(task.needs.fields) == {"text", "touch", "text:short"}
    made = batch(task)
    assert list(task.passes(made)) == ["text", "touch", "text:short"]
    result = task(model, made)
    # here the further caption is the same as the first
    assert result.logs["align/touch-text:short"].item() == pytest.approx(result.logs["align/mean"].item())
    assert result.loss.item() == pytest.approx(4.0 * result.logs["align/mean"].item())
    extended = backbone(stage=Extend("touch"))
    task = pretraining(extended, {}, further_pairs=[("touch", "text:short")])
    passes = task.passes(batch(task))
    assert (passes["touch"].grad, passes["text:short"].grad) == (True, False)
    with pytest.raises(ValueError, match="further_pairs: no modality 'smell' for smell"):
        pretraining(model, {}, further_pairs=[("touch", "smell")])


def test_negatives_of_a_composed_query_are_further_candidates() -> None:
    model = backbone().eval()
    hard = replace(CHANGED, negatives=("text", "touch"))
    task = pretraining(model, {}, alignment=0.0, gradient="exact", composed=[hard])
    made = batch(task)
    assert list(task.passes(made)) == ["text", "touch", CHANGED.name, "text:composed"]
    joint = model.embed_jointly({n: made.inputs[n] for n in CHANGED.query})
    alone = model.embed({n: made.inputs[n] for n in ("text:composed", "text", "touch")})
    own, others = alone["text:composed"].detach(), torch.cat(list(alone.values())).detach()
    scale, targets = model.logit_scale.exp(), torch.arange(len(joint))
    expected = F.cross_entropy(scale * joint @ others.T, targets)
    expected = (expected + F.cross_entropy(scale * own @ joint.T, targets)) / 2
    found = task(model, made).loss
    assert found.item() == pytest.approx(hard.weight * expected.item(), rel=1e-5)
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(hard.weight * expected, parameters, materialize_grads=True)
    for mine, theirs in zip(
        torch.autograd.grad(found, parameters, materialize_grads=True), gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_composed_queries_may_read_a_share_of_the_batch() -> None:
    model = backbone().eval()
    some = pretraining(model, {}, composed=[CHANGED], composed_share=0.6)
    whole = pretraining(model, {}, composed=[CHANGED])
    name = f"composed/{CHANGED.name}"
    two = whole(model, batch(whole, rows=2)).logs[name]
    assert step(some, model).logs[name].item() == pytest.approx(two.item(), rel=1e-5)
    assert torch.equal(step(some, model).logs["align/mean"], step(whole, model).logs["align/mean"])


def test_mistakes_of_composed_queries_are_named() -> None:
    model = backbone()
    with pytest.raises(ValueError, match=r"no modality 'smell' for smell; the backbone has text, touch"):
        pretraining(model, {}, composed=[ComposedQuery(("touch", "smell"), ("text",))])
    with pytest.raises(ValueError, match="needs two fields or more in the query"):
        ComposedQuery(("touch",), ("text",))
    with pytest.raises(ValueError, match=r"text and text:change are of one modality"):
        ComposedQuery(("text", "text:change"), ("touch",))
    with pytest.raises(ValueError, match=r"composed_share=2 must be a share above 0"):
        pretraining(model, {}, composed=[CHANGED], composed_share=2)


def task_of(model: Backbone) -> Pretraining:
    return pretraining(model, {"touch": ALONE})


def test_passes_of_both_stages() -> None:
    first, second = backbone(), backbone(stage=Extend("touch"))
    for model, reads_with_gradient in ((first, True), (second, False)):
        task = pretraining(model)
        passes = task.passes(batch(task))
        assert passes["text"].grad is reads_with_gradient
        assert passes["touch"].grad
        assert not passes["teacher"].grad
        assert passes["teacher"].modalities == PAIR
        assert passes["student both"].masks is not None
        assert task.reads.modalities == PAIR
        assert task.reads.reconstructs == ("touch", "text")


def test_teachers() -> None:
    """A joint teacher reads both; one's own teacher does not."""
    model = backbone().train()
    gradients = {}
    for teacher in ("own", "joint"):
        student = Student(ALONE.hide, ALONE.weights, teacher)
        task = pretraining(model, {"touch": student}, alignment=0.0)
        made = batch(task)
        before = task(model, made).logs["denoise/touch"].item()
        made.inputs["text"].values[:, 0] += 1
        gradients[teacher] = abs(task(model, made).logs["denoise/touch"].item() - before)
    assert gradients["own"] == 0
    assert gradients["joint"] > 0


def test_local_and_exact_agree_on_the_loss_and_not_on_the_gradient() -> None:
    results = []
    for gradient in ("local", "exact"):
        model = backbone().train()
        result = step(pretraining(model, {}, gradient=gradient), model)
        result.loss.backward()
        weight = model.encoder.projections["text"].weight.grad
        results.append((result.loss.item(), weight, model.logit_scale.grad.item()))
    (a, local, scale), (b, exact, other) = results
    assert a == pytest.approx(b, rel=1e-6)
    assert scale == pytest.approx(other, rel=1e-4)
    assert (local - exact).abs().max() > 1e-4


def test_mistakes_are_named() -> None:
    model = backbone()
    with pytest.raises(ValueError, match="pair: no modality 'smell' to train on; the pair is text, smell"):
        Pretraining(model, DataInfo(), ("text", "smell"))
    stranger = {"deaf": Student({"audio": RandomTokens(0.5)}, {"audio": 1.0})}
    with pytest.raises(
        ValueError, match=r"deaf: no modality 'audio' to train on; .* the backbone has text, touch"
    ):
        Pretraining(model, DataInfo(), PAIR, stranger)
    with pytest.raises(ValueError, match="pair: text, text are not two modalities"):
        Pretraining(model, DataInfo(), ("text", "text"))
    three = make(("text", "image", "touch"), stage=Extend("touch"))
    with pytest.raises(ValueError, match="extends by 'touch', which the pair text, image leaves untrained"):
        Pretraining(three, DataInfo(), ("text", "image"))
    with pytest.raises(ValueError, match="kind must be one of contrastive"):
        Pretraining(model, DataInfo(), PAIR, denoising="huber")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gradient must be one of local, exact"):
        Pretraining(model, DataInfo(), PAIR, gradient="global")  # type: ignore[arg-type]
    task = pretraining(model)
    unmasked = batch(pretraining(model, {}))
    with pytest.raises(ValueError, match="no masks for student 'touch'; call the data module's connect"):
        task(model, unmasked)
