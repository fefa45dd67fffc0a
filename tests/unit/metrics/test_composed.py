"""Composed queries: the joint pass beside the sum and the parts, on embeddings whose recalls are known."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from onepeace_pl.metrics import RetrievalMetric, RetrievalResult
from onepeace_pl.metrics.composed import compare_vectors, vector_names

# Four images of two things on two backgrounds; sound knows the thing, text the background.
AUDIO = torch.eye(4)[[0, 0, 1, 1]]
TEXT = torch.eye(4)[[2, 3, 2, 3]]
IMAGE = normalize(AUDIO + TEXT, dim=1)
WRONG = normalize(2 * AUDIO + TEXT[[0, 1, 3, 2]], dim=1)  # one thing before the other of its backgrounds


def retrieve(query: Tensor, optimum: float) -> RetrievalResult:
    metric = RetrievalMetric(
        ["audio", "text"],
        ["image"],
        both_directions=False,
        ks=(1, 2),
        optimum={"audio+text->image": {1: optimum}},
    )
    metric.update(query, IMAGE, list("abcd"), torch.arange(4))
    return metric.compute()


@pytest.fixture
def result() -> RetrievalResult:
    return compare_vectors(
        {
            "audio_alone": retrieve(AUDIO, 0.5),
            "text_alone": retrieve(TEXT, 0.5),
            "sum": retrieve(IMAGE, 1.0),
            "joint": retrieve(WRONG, 1.0),
        }
    )


def test_names() -> None:
    assert vector_names(("audio", "text"), ("image",)) == ["audio_alone", "text_alone", "sum", "joint"]
    assert vector_names(("image",), ("audio", "text")) == ["audio_alone", "text_alone", "sum", "joint"]
    assert vector_names(("audio",), ("image",)) == ["joint"]


def test_each_vector_has_its_recall_and_its_optimum(result: RetrievalResult) -> None:
    composed = result.directions["audio+text->image"].composed
    assert composed is not None
    recalls = {name: [by.recall[k].value for k in (1, 2)] for name, by in composed.vectors.items()}
    # a part alone scores two candidates alike, and ties are pessimistic
    assert recalls == {"audio_alone": [0, 1], "text_alone": [0, 1], "sum": [1, 1], "joint": [0.5, 1]}
    optima = {name: by.optimum for name, by in composed.vectors.items()}
    assert optima == {"audio_alone": {1: 0.5}, "text_alone": {1: 0.5}, "sum": {1: 1.0}, "joint": {1: 1.0}}


def test_intervals_are_over_queries_and_the_difference_is_paired(result: RetrievalResult) -> None:
    composed = result.directions["audio+text->image"].composed
    assert composed is not None
    joint = composed.vectors["joint"].recall[1]
    assert (joint.value, joint.low, joint.high) == (0.5, 0.0, 1.0)
    less = composed.difference[1]
    assert (less.value, less.low, less.high) == (-0.5, -1.0, 0.0)
    assert composed.difference[2].value == 0.0


def test_the_other_vectors_are_scalars_and_leave_the_mean_alone(result: RetrievalResult) -> None:
    scalars = result.scalars()
    assert scalars["audio+text->image/R@1"] == 0.5
    assert scalars["audio+text->image/sum/R@1"] == 1.0
    assert scalars["audio+text->image/text_alone/R@1"] == 0.0
    assert scalars["mean_recall"] == 0.75


def test_a_query_of_one_modality_has_nothing_beside_it() -> None:
    alone = compare_vectors({"joint": retrieve(IMAGE, 1.0)})
    assert alone.directions["audio+text->image"].composed is None
