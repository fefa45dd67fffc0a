from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.metrics import RetrievalMetric, RetrievalResult
from tests.two_processes import run_in_processes

N = 12
IDS = [f"scene-{i}" for i in range(N)]


def embeddings() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = F.normalize(torch.randn(N, 6, generator=generator), dim=1)
    text = F.normalize(image + 0.5 * torch.randn(N, 6, generator=generator), dim=1)
    return image, text


def evaluate(metric: RetrievalMetric, rows: list[int], batch: int = 5) -> RetrievalResult:
    image, text = embeddings()
    for start in range(0, len(rows), batch):
        part = torch.tensor(rows[start : start + batch])
        metric.update(image[part], text[part], [IDS[i] for i in part], part)
    return metric.compute()


def test_recall_both_ways_against_sorting_by_hand() -> None:
    image, text = embeddings()
    result = evaluate(RetrievalMetric(["image"], ["text"]), list(range(N)))
    assert list(result.directions) == ["image->text", "text->image"]
    for name, scores in {"image->text": image @ text.T, "text->image": text @ image.T}.items():
        order = scores.argsort(1, descending=True)
        position = (order == torch.arange(N)[:, None]).int().argmax(1)
        direction = result.directions[name]
        assert direction.recall == pytest.approx(
            {k: (position < k).float().mean().item() for k in (1, 5, 10)}
        )
        assert direction.chance == pytest.approx({1: 1 / N, 5: 5 / N, 10: 10 / N})
        assert direction.top.tolist() == order[:, :10].tolist()
        assert direction.median_rank == np.median(position + 1)
        gains = torch.where(position < 10, 1 / (position + 2).double().log2(), 0)
        assert direction.ndcg == pytest.approx(gains.mean().item())
        interval = direction.interval(1)
        assert interval.low < interval.value == direction.recall[1] < interval.high
    mean = [v for d in result.directions.values() for v in d.recall.values()]
    assert result.mean_recall == pytest.approx(sum(mean) / 6)


def test_order_and_repetition_of_rows_do_not_matter() -> None:
    plain = evaluate(RetrievalMetric(["image"], ["text"]), list(range(N)))
    mixed = evaluate(RetrievalMetric(["image"], ["text"]), [7, *range(N)[::-1], 0, 3, 3], batch=4)
    for name, direction in plain.directions.items():
        assert mixed.directions[name].ranks.tolist() == direction.ranks.tolist()
        assert mixed.directions[name].queries.tolist() == list(range(N))


def test_reset_forgets() -> None:
    metric = RetrievalMetric(["image"], ["text"])
    evaluate(metric, [0, 1, 2])
    metric.reset()
    assert len(evaluate(metric, [4, 5]).directions["image->text"].queries) == 2


def captioned(one_per_id: list[str]) -> RetrievalResult:
    """Three pictures with two captions each, one row a caption."""
    pictures = torch.eye(3).repeat_interleave(2, 0)
    captions = torch.eye(3)[torch.tensor([0, 1, 1, 1, 0, 2])] + 0.01 * torch.arange(6)[:, None]
    metric = RetrievalMetric(["image"], ["text"], one_per_id=one_per_id, ks=(1, 2))
    metric.update(pictures, captions, ["a", "a", "b", "b", "c", "c"], torch.arange(6))
    return metric.compute()


def test_five_captions_of_one_picture() -> None:
    directions = captioned(["image"]).directions
    to_text, to_image = directions["image->text"], directions["text->image"]
    assert to_text.queries.tolist() == [0, 2, 4]
    assert to_text.candidates.tolist() == [0, 1, 2, 3, 4, 5]
    assert to_image.queries.tolist() == [0, 1, 2, 3, 4, 5]
    assert to_image.candidates.tolist() == [0, 2, 4]
    assert to_image.recall[1] == pytest.approx(4 / 6)  # the second caption of a and the first of c go astray
    assert to_text.chance[1] == pytest.approx(1 / 3)
    assert to_text.positives.tolist() == [2, 2, 2]
    gain = 1 / np.log2(np.arange(2, 8))  # those of a are second and last, of b and c first and second
    assert to_text.ndcg == pytest.approx(((gain[1] + gain[5]) / (gain[0] + gain[1]) + 2) / 3)
    assert to_text.chance[2] == pytest.approx(1 - 4 / 6 * 3 / 5)


def shared_sentences(**options: bool) -> RetrievalResult:
    """Twelve pictures, of which each has one of four sentences; a perfect model but for the order of equals."""
    sentences = torch.arange(N) % 4
    pictures = F.one_hot(sentences, 4).float()
    metric = RetrievalMetric(["image"], ["text"], **options)
    for part in torch.arange(N).split(5):
        contents = (part + 100, sentences[part])
        metric.update(pictures[part], torch.eye(4)[sentences[part]], [IDS[i] for i in part], part, contents)
    return metric.compute()


def test_equal_items_are_one_answer_that_is_right_for_all_their_rows() -> None:
    result = shared_sentences()
    to_text, to_image = result.directions["image->text"], result.directions["text->image"]
    assert (len(to_text.queries), len(to_text.candidates)) == (N, 4)
    assert (to_text.recall[1], to_image.recall[1]) == (1.0, 1.0)
    assert to_text.chance[1] == pytest.approx(1 / 4)
    assert to_image.queries.tolist() == [0, 1, 2, 3]
    assert to_image.chance[1] == pytest.approx(3 / 12)
    assert to_image.right[:, :3].all()
    assert (result.duplicates, result.merged) == ({"image": 0, "text": 8}, True)


def test_equal_items_can_count_apart_and_are_told() -> None:
    result = shared_sentences(merge_duplicates=False)
    assert result.directions["image->text"].recall[1] == 0.0
    assert len(result.directions["image->text"].candidates) == N
    assert (result.duplicates, result.merged) == ({"image": 0, "text": 8}, False)


def test_what_two_rows_say_does_not_make_their_other_sentences_right() -> None:
    """Pictures a and b share a sentence; the second sentence of b is wrong for a."""
    pictures = torch.eye(2)[[0, 0, 1, 1]]
    texts = torch.tensor([[0.0, 1.0], [0.1, 0.1], [0.0, 1.0], [0.9, 0.2]])
    metric = RetrievalMetric(["image"], ["text"], one_per_id=["image"], ks=(1, 2))
    metric.update(
        pictures,
        texts,
        list("aabb"),
        torch.arange(4),
        (torch.tensor([5, 5, 6, 6]), torch.tensor([1, 2, 1, 3])),
    )
    direction = metric.compute().directions["image->text"]
    assert direction.candidates.tolist() == [0, 1, 3]
    assert direction.ranks.tolist() == [2, 1]
    assert direction.right.tolist() == [[False, True, True], [True, True, False]]


def test_without_the_mark_each_row_is_a_thing_of_its_own() -> None:
    assert len(captioned([]).directions["image->text"].queries) == 6


def test_one_direction_and_a_joint_query() -> None:
    metric = RetrievalMetric(["audio", "text"], ["image"], both_directions=False)
    result = evaluate(metric, list(range(N)))
    assert list(result.directions) == ["audio+text->image"]
    assert result.gallery == "audio+text_image"


def test_groups_are_reported_apart_against_all_candidates() -> None:
    groups = ["novel" if i % 4 == 0 else "seen" for i in range(N)]
    direction = evaluate(RetrievalMetric(["image"], ["text"], groups=groups), list(range(N))).directions[
        "image->text"
    ]
    assert {name: g.count for name, g in direction.groups.items()} == {"novel": 3, "seen": 9}
    assert direction.groups["novel"].recall[5] == pytest.approx((direction.ranks[::4] <= 5).mean())
    whole = sum(g.count * g.recall[1] for g in direction.groups.values()) / N
    assert whole == pytest.approx(direction.recall[1])


def test_factors_of_the_first_answer() -> None:
    answers = torch.eye(4)[torch.tensor([1, 0, 2, 3])]  # 0 and 1 are taken for each other
    metric = RetrievalMetric(
        ["image"],
        ["text"],
        ks=(1,),
        both_directions=False,
        factors={
            "kind": ["bell", "bell", "bird", "drum"],
            "place": ["n", "s", "e", None],
            "none": [None] * 4,
        },
    )
    metric.update(torch.eye(4), answers, list("abcd"), torch.arange(4))
    factors = metric.compute().directions["image->text"].factors
    assert (factors["kind"].count, factors["kind"].accuracy) == (4, 1.0)
    assert factors["kind"].chance == pytest.approx((2 * 2 + 1 + 1) / 16)
    assert (factors["place"].count, factors["place"].accuracy) == (3, pytest.approx(1 / 3))
    assert factors["none"].count == 0


def test_optima_are_kept_by_direction() -> None:
    metric = RetrievalMetric(
        ["image"],
        ["text"],
        rows=N,
        optimum={"image->text": {1: 1.0}},
        optimum_variants={"without rhythm": {"text->image": {1: 0.9}}},
    )
    directions = evaluate(metric, list(range(N))).directions
    assert directions["image->text"].optimum == {1: 1.0}
    assert directions["text->image"].optimum == {}
    assert directions["text->image"].variants == {"without rhythm": {1: 0.9}}


def test_scalars_are_named_by_direction() -> None:
    groups = ["novel", *["seen"] * (N - 1)]
    metric = RetrievalMetric(["image"], ["text"], groups=groups, factors={"kind": IDS})
    result = evaluate(metric, list(range(N)))
    scalars = result.scalars()
    assert scalars["text->image/R@5"] == result.directions["text->image"].recall[5]
    assert {"mean_recall", "image->text/novel/R@1", "image->text/kind"} <= set(scalars)


def test_errors() -> None:
    with pytest.raises(ValueError, match="'video'"):
        RetrievalMetric(["image"], ["text"], one_per_id=["video"])
    with pytest.raises(ValueError, match="2 query and 3 target"):
        RetrievalMetric(["image"], ["text"]).update(torch.eye(2), torch.eye(3), ["a", "b"], torch.arange(2))
    with pytest.raises(ValueError, match="'image_text' is empty"), pytest.warns(UserWarning, match="compute"):
        RetrievalMetric(["image"], ["text"]).compute()


def _two_ranks_see_what_one_sees() -> None:
    whole = evaluate(RetrievalMetric(["image"], ["text"]), list(range(N)))
    own = [list(range(7)), [11, 10, 9, 8, 7, 0, 1]][
        dist.get_rank()
    ]  # 0 and 1 were repeated to even ranks out
    found = evaluate(RetrievalMetric(["image"], ["text"]), own, batch=3 + dist.get_rank())
    for name, direction in whole.directions.items():
        assert found.directions[name].ranks.tolist() == direction.ranks.tolist()
        assert found.directions[name].recall == direction.recall


@pytest.mark.distributed
def test_two_processes(tmp_path: Path) -> None:
    run_in_processes(_two_ranks_see_what_one_sees, tmp_path)
