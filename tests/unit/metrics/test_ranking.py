import pytest
import torch
from torch import Tensor

from onepeace_pl.metrics import ranking
from onepeace_pl.metrics.ranking import Ranking, chance_recall, related

IDS = torch.arange(4)


def rank(
    queries: Tensor, query_ids: Tensor, candidates: Tensor, candidate_ids: Tensor, **options: int
) -> Ranking:
    pairs = (query_ids[:, None] == candidate_ids).nonzero()
    return ranking.rank(queries, candidates, pairs, **options)


def test_what_belongs_together_is_what_rows_of_equal_id_hold() -> None:
    generator = torch.Generator().manual_seed(0)
    ids, queries, candidates = torch.randint(6, (3, 20), generator=generator)
    queries, candidates = (torch.unique(side, return_inverse=True)[1] for side in (queries, candidates))
    expected = {
        (int(queries[i]), int(candidates[j])) for i in range(20) for j in range(20) if ids[i] == ids[j]
    }
    assert related(ids - 3, queries, candidates).tolist() == sorted(map(list, expected))


def test_ranks_count_what_stands_before() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.2, 0.3], [0.5, 0.4, 0.6, 0.1], [0, 1, 2, 3], [3, 2, 1, 0.5]])
    found = rank(scores, IDS, torch.eye(4), IDS, keep=2, chunk=3)
    assert found.ranks.tolist() == [1, 3, 2, 4]
    assert found.top.tolist() == [[0, 3], [2, 0], [3, 2], [0, 1]]
    assert found.right.tolist() == [[True, False], [False, False], [False, True], [False, False]]
    assert found.scores[0].tolist() == pytest.approx([0.9, 0.3])


def test_the_best_of_several_right_candidates_counts() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5]])
    found = rank(scores, torch.tensor([7]), torch.eye(3), torch.tensor([7, 8, 7]))
    assert found.ranks.tolist() == [2]
    assert found.positives.tolist() == [2]


def test_ties_count_against_the_right_candidate_but_not_among_right_ones() -> None:
    same = torch.ones(4, 3)
    assert rank(same, IDS, same, IDS).ranks.tolist() == [4, 4, 4, 4]
    assert rank(same, IDS // 2, same, IDS // 2).ranks.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize("value", [0.7, 0.0, -0.7])
def test_wrong_candidates_of_the_same_score_come_first_in_the_top(value: float) -> None:
    queries, candidates = torch.ones(4, 1), torch.full((4, 1), value)
    found = rank(queries, IDS, candidates, IDS, keep=4)
    assert found.right.tolist() == [[False, False, False, True]] * 4
    assert torch.equal(found.scores, torch.full((4, 4), value))


def test_what_is_not_a_number_is_a_miss() -> None:
    broken = torch.full((4, 3), float("nan"))
    assert rank(broken, IDS, broken, IDS).ranks.tolist() == [4, 4, 4, 4]


def test_chunks_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, candidates = torch.randn(2, 50, 6, generator=generator)
    ids = torch.randint(10, (50,), generator=generator)
    whole, parts = rank(queries, ids, candidates, ids), rank(queries, ids, candidates, ids, chunk=7)
    assert torch.equal(whole.ranks, parts.ranks)
    assert torch.equal(whole.top, parts.top)


def test_a_query_without_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 of 4 queries"):
        rank(torch.eye(4), IDS, torch.eye(4), IDS.clamp(max=2))


def test_chance() -> None:
    assert chance_recall([1] * 8, 20, (1, 5, 20)) == pytest.approx({1: 0.05, 5: 0.25, 20: 1.0})
    # two right of four, two drawn: 1 - (2/4 * 1/3)
    assert chance_recall([2], 4, [2]) == pytest.approx({2: 1 - 1 / 6})
    assert chance_recall([1, 2], 4, [1]) == pytest.approx({1: 0.375})
