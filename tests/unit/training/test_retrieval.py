"""Retrieval of galleries by a backbone, batch by batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.datamodule import PairsDataModule
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.source import Row, Source
from onepeace_pl.metrics import AboveOptimumError
from onepeace_pl.training.retrieval import RetrievalEvaluator, embed_side, metric_for

from ..hub.conftest import TEXTS, make_model
from ..samples import fields, make


class Rows(Source):
    modalities = ("text", "image", "touch")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), {})


PAIR = Gallery(name="text_touch", query=("text",), target=("touch",), rows=Rows())
JOINT = Gallery(
    name="text+image_touch", query=("text", "image"), target=("touch",), rows=Rows(), both_directions=False
)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return make(decoder=False).eval()


def batch(rows: list[int]) -> Batch:
    return Batch([str(r) for r in rows], torch.tensor(rows), 0, fields(rows=rows), {})


@torch.no_grad()
def evaluate(backbone: Backbone, galleries: list[Gallery], batches: list[list[int]]) -> dict[str, float]:
    evaluation = RetrievalEvaluator(galleries)
    for loader in range(len(galleries)):
        for rows in batches:
            evaluation.update(backbone, batch(rows), loader)
    result = evaluation.compute()
    assert list(evaluation.results) == [gallery.name for gallery in galleries]
    return result


@torch.no_grad()
def test_sides(backbone: Backbone) -> None:
    made = batch([0, 1, 2])
    alone = backbone.embed(made.inputs)
    (vector,) = embed_side(backbone, made, ("touch",)).values()
    assert torch.equal(vector, alone["touch"])
    both = {name: made.inputs[name] for name in ("text", "image")}
    found = embed_side(backbone, made, ("text", "image"))
    assert list(found) == ["text_alone", "image_alone", "sum", "joint"]
    torch.testing.assert_close(found["image_alone"], alone["image"])
    assert torch.equal(found["sum"], backbone.embed_fused(both, "sum"))
    assert torch.equal(found["joint"], backbone.embed_jointly(both))


class Sounds(Source):
    """Noise of unequal lengths with captions."""

    modalities = ("audio", "text")

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int, /) -> Row:
        wave = np.random.default_rng(index).normal(size=16000 + 2917 * (index * 4 % 9)).astype(np.float32)
        return Row(str(index), {"audio": wave, "text": TEXTS[index % 4][: 6 + index]})


@torch.no_grad()
@pytest.mark.parametrize("eval_batch_size", [1, 4, 9])
def test_a_validated_row_has_the_vector_that_encode_gives(eval_batch_size: int) -> None:
    model, rows = make_model(), Sounds()
    with torch.no_grad():  # sounds of a model at its start hardly differ
        for parameter in model.backbone.encoder.adapter("audio").parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    data = PairsDataModule(
        model.processors, validation={"sounds": rows}, eval_batch_size=eval_batch_size, batch_size=2
    )
    (loader,) = data.val_dataloader()
    for batch in loader:
        for name in rows.modalities:
            expected = model.encode(**{name: [rows[i].fields[name] for i in batch.indices.tolist()]})
            found = embed_side(model.backbone, batch, (name,))["joint"]
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


class Repeated(Sounds):
    """Noise with one of three sentences each."""

    def __getitem__(self, index: int, /) -> Row:
        row = super().__getitem__(index)
        return Row(row.id, {"audio": row.fields["audio"][:16000], "text": TEXTS[index % 3]})


@torch.no_grad()
@pytest.mark.parametrize("merge", [True, False])
def test_equal_sentences_of_a_gallery_are_one_candidate(merge: bool) -> None:
    model = make_model()
    data = PairsDataModule(
        model.processors, validation={"sounds": Repeated()}, batch_size=4, merge_duplicates=merge
    )
    evaluation = RetrievalEvaluator(data.evaluation_sets("validation"))
    for batch in data.val_dataloader()[0]:
        evaluation.update(model.backbone, batch, 0)
    evaluation.compute()
    result = evaluation.results["sounds"]
    assert (result.duplicates, result.merged) == ({"audio": 0, "text": 6}, merge)
    to_text = result.directions["audio->text"]
    assert len(to_text.queries) == 9
    assert len(to_text.candidates) == (3 if merge else 9)
    assert to_text.chance[1] == pytest.approx(1 / 3 if merge else 1 / 9)
    assert merge or to_text.recall[1] == 0.0


def test_recall_of_several_galleries(backbone: Backbone) -> None:
    metrics = evaluate(backbone, [PAIR, JOINT], [[0, 1, 2]])
    assert {name for name in metrics if name.endswith("R@1")} == {
        "text_touch/text->touch/R@1",
        "text_touch/touch->text/R@1",
        *(
            f"text+image_touch/text+image->touch/{vector}R@1"
            for vector in ("", "joint/", "text_alone/", "image_alone/")
        ),
    }
    made = batch([0, 1, 2])
    with torch.no_grad():
        vectors = backbone.embed({n: made.inputs[n] for n in ("text", "touch")})
    first = (vectors["text"] @ vectors["touch"].T).argmax(1) == torch.arange(3)
    assert metrics["text_touch/text->touch/R@1"] == pytest.approx(first.float().mean().item())
    recalls = [value for name, value in metrics.items() if "R@" in name]
    assert all(0 <= value <= 1 for value in recalls)
    assert 0 <= metrics["mean_recall"] <= 1


def test_the_joint_pass_stands_beside_the_sum_and_the_parts(backbone: Backbone) -> None:
    made = batch([0, 1, 2])
    optima = {"text": {"text+image->touch": {1: 0.9}}}
    evaluation = RetrievalEvaluator(
        [replace(JOINT, optimum={"text+image->touch": {1: 1.0}}, optimum_alone=optima)]
    )
    with torch.no_grad():
        evaluation.update(backbone, made, 0)
        vectors = backbone.embed({name: made.inputs[name] for name in ("text", "image", "touch")})
        joint = backbone.embed_jointly({name: made.inputs[name] for name in ("text", "image")})
    evaluation.compute()
    composed = evaluation.results["text+image_touch"].directions["text+image->touch"].composed
    queries = {
        "text_alone": vectors["text"],
        "image_alone": vectors["image"],
        "sum": vectors["text"] + vectors["image"],
        "joint": joint,
    }
    assert list(composed.vectors) == list(queries)
    for name, query in queries.items():
        right = (query @ vectors["touch"].T).argmax(1) == torch.arange(3)
        assert composed.vectors[name].recall[1].value == pytest.approx(right.float().mean().item())
    assert [by.optimum for by in composed.vectors.values()] == [{1: 0.9}, {}, {1: 1.0}, {1: 1.0}]


def test_a_composed_side_is_compared_as_candidates_too(backbone: Backbone) -> None:
    metrics = evaluate(backbone, [replace(JOINT, both_directions=True)], [[0, 1], [2]])
    for name in ("touch->text+image", "text+image->touch"):
        assert f"text+image_touch/{name}/joint/R@1" in metrics


@pytest.mark.parametrize("fuse", ["sum", "joint"])
def test_the_result_of_a_composed_query_is_that_of_the_default_vector(
    backbone: Backbone, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "fuse", fuse)
    evaluation = RetrievalEvaluator([JOINT])
    with torch.no_grad():
        evaluation.update(backbone, batch([0, 1, 2]), 0)
    evaluation.compute()
    direction = evaluation.results["text+image_touch"].directions["text+image->touch"]
    assert direction.composed is not None
    assert direction.composed.default == fuse
    assert direction.recall[1] == direction.composed.vectors[fuse].recall[1].value
    assert fuse not in direction.others()


def test_batches_and_their_order_do_not_matter(backbone: Backbone) -> None:
    whole = evaluate(backbone, [PAIR], [[0, 1, 2]])
    assert evaluate(backbone, [PAIR], [[2], [0, 1]]) == whole
    assert evaluate(backbone, [PAIR], [[0, 1], [2, 0]]) == whole  # rows that pad the last batch count once


def test_without_galleries_there_are_no_metrics() -> None:
    assert RetrievalEvaluator([]).compute() == {}


def test_a_result_above_the_optimum_is_an_error(backbone: Backbone) -> None:
    metric = metric_for(replace(PAIR, optimum={"text->touch": {1: 0.0}}))
    vectors = torch.eye(3)
    metric.update(vectors, vectors, ["0", "1", "2"], torch.arange(3))
    with pytest.raises(AboveOptimumError, match=r"text->touch R@1 = 1\.000"):
        metric.compute()


def test_factors_and_groups_reach_the_metric() -> None:
    factors = [{"kind": "dog", "size": "small"}, {"kind": "cat"}, {"kind": "dog", "size": "large"}]
    metric = metric_for(replace(PAIR, factors=factors, groups=["seen", "seen", "novel"]))
    metric.update(torch.eye(3), torch.eye(3), ["0", "1", "2"], torch.arange(3))
    assert metric.compute().scalars()
