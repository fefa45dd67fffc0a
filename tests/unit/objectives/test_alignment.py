from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.objectives import CrossModalContrast
from tests.two_processes import run_in_processes

SIZE = 6


class TwoTowers(nn.Module):
    """Two linear towers and an inverse temperature, the same in every process."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(5, 4, generator=generator, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(5, 4, generator=generator, dtype=torch.float64))
        self.logit_scale = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return F.normalize(a @ self.first, dim=1), F.normalize(b @ self.second, dim=1), self.logit_scale.exp()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(SIZE, 5, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def whole_batch_gradients(detach_keys: bool) -> tuple[Tensor, list[Tensor]]:
    """The textbook on one process: cross-entropy of the full matrix in both directions."""
    model = TwoTowers()
    first, second, scale = model(*batch())
    targets = torch.arange(SIZE)
    first_keys, second_keys = (first.detach(), second.detach()) if detach_keys else (first, second)
    loss = F.cross_entropy(scale * first @ second_keys.T, targets)
    loss = (loss + F.cross_entropy(scale * second @ first_keys.T, targets)) / 2
    return loss.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("gradient", ["local", "exact"])
def test_one_process_equals_dense(gradient: str) -> None:
    model = TwoTowers()
    found = CrossModalContrast(gradient, tile=4)(*model(*batch()))  # type: ignore[arg-type]
    expected, gradients = whole_batch_gradients(detach_keys=gradient == "local")
    torch.testing.assert_close(found.loss.detach(), expected)
    for mine, theirs in zip(
        torch.autograd.grad(found.loss, list(model.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_the_two_rules_differ() -> None:
    assert not torch.allclose(whole_batch_gradients(True)[1][0], whole_batch_gradients(False)[1][0])


def test_losses_and_accuracies_are_by_direction() -> None:
    first = torch.eye(3)
    second = F.normalize(torch.tensor([[1.0, 0, 0], [1, 0, 0.5], [0, 0, 1]]), dim=1)
    found = CrossModalContrast()(first, second, 10.0)
    assert found.accuracies[0].item() == pytest.approx(
        2 / 3
    )  # (0, 1, 0) is as near to all three; the first wins
    assert found.accuracies[1].item() == pytest.approx(2 / 3)  # the second row leans to the first
    assert found.loss.item() == pytest.approx(sum(x.item() for x in found.losses) / 2)


def test_smoothing_raises_the_loss_of_a_perfect_match() -> None:
    eye = torch.eye(4)
    assert (
        CrossModalContrast(smoothing=0.1)(eye, eye, 20.0).loss > CrossModalContrast()(eye, eye, 20.0).loss + 1
    )


def test_no_gradient_reaches_a_frozen_side() -> None:
    first = F.normalize(torch.randn(3, 4), dim=1).requires_grad_()
    second = F.normalize(torch.randn(3, 4), dim=1)
    CrossModalContrast("exact")(first, second, 2.0).loss.backward()
    assert first.grad is not None


def test_errors() -> None:
    with pytest.raises(ValueError, match="'global'"):
        CrossModalContrast("global")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        CrossModalContrast()(torch.ones(3, 4), torch.ones(2, 4), 1.0)


NESTED = {4: 1.0, 2: 2.0, 1: 1.0}


def nested(gradient: str, tile: int = 1024) -> CrossModalContrast:
    return CrossModalContrast(
        gradient,  # type: ignore[arg-type]
        tile=tile,
        matryoshka_dims=list(NESTED),
        matryoshka_weights=list(NESTED.values()),
    )


def whole_batch_nested(detach_keys: bool) -> tuple[Tensor, list[Tensor]]:
    """The textbook at each length, cut and normalised again, without duplicates as negatives; the weighted mean."""
    model, targets = TwoTowers(), torch.arange(SIZE)
    first, second, scale = model(*batch())
    same = (CONTENTS[:, None] == CONTENTS).any(-1) & ~torch.eye(SIZE, dtype=torch.bool)
    total = torch.zeros((), dtype=torch.float64)
    for dim, weight in NESTED.items():
        a, b = (F.normalize(side[:, :dim], dim=1) for side in (first, second))
        keys = (a.detach(), b.detach()) if detach_keys else (a, b)
        forth = F.cross_entropy((scale * a @ keys[1].T).masked_fill(same, -torch.inf), targets)
        back = F.cross_entropy((scale * b @ keys[0].T).masked_fill(same, -torch.inf), targets)
        total = total + weight * (forth + back) / 2
    total = total / sum(NESTED.values())
    return total.detach(), list(torch.autograd.grad(total, list(model.parameters())))


@pytest.mark.parametrize("gradient", ["local", "exact"])
def test_matryoshka_is_the_weighted_mean_over_truncated_vectors(gradient: str) -> None:
    model = TwoTowers()
    found = nested(gradient, tile=4)(*model(*batch()), CONTENTS)
    expected, gradients = whole_batch_nested(detach_keys=gradient == "local")
    torch.testing.assert_close(found.loss.detach(), expected)
    for mine, theirs in zip(
        torch.autograd.grad(found.loss, list(model.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    plain = CrossModalContrast(gradient, tile=4)(*model(*batch()), CONTENTS)  # type: ignore[arg-type]
    assert [*found.losses, *found.accuracies] == [*plain.losses, *plain.accuracies]
    assert list(found.truncated) == [2, 1]
    assert not plain.truncated


@pytest.mark.parametrize("gradient", ["local", "exact"])
def test_the_full_length_alone_is_the_plain_loss_to_the_bit(gradient: str) -> None:
    results = []
    for options in ({}, {"matryoshka_dims": [4]}, {"matryoshka_dims": [4], "matryoshka_weights": [0.3]}):
        model = TwoTowers().float()
        rows = [side.float() for side in batch()]
        loss = CrossModalContrast(gradient, tile=4, **options)(*model(*rows)).loss  # type: ignore[arg-type]
        results.append([loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))])
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_a_shorter_length_trains_the_prefix_alone() -> None:
    sides = [F.normalize(torch.randn(5, 4, dtype=torch.float64), dim=1).requires_grad_() for _ in range(2)]
    both, plain = (
        torch.autograd.grad(contrast(*sides, 3.0).loss, sides)
        for contrast in (CrossModalContrast("exact", matryoshka_dims=[4, 2]), CrossModalContrast("exact"))
    )
    for mine, theirs in zip(both, plain, strict=True):
        torch.testing.assert_close(mine[:, 2:], theirs[:, 2:] / 2)
        assert not torch.allclose(mine[:, :2], theirs[:, :2] / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matryoshka_dims": [8, 4]}, "vectors have 4 values; choose lengths from 1 to 4"),
        ({"matryoshka_dims": [4, 0]}, "choose lengths from 1 to 4"),
        ({"matryoshka_dims": [2]}, "leaves out the full length; add 4"),
        ({"matryoshka_dims": [4, 2, 2]}, "names a length twice"),
        ({"matryoshka_dims": [4, 2], "matryoshka_weights": [1.0]}, "weights are 1, matryoshka_dims 2"),
        ({"matryoshka_weights": [1.0]}, "weights are 1, matryoshka_dims 0"),
        ({"matryoshka_dims": [4, 2], "matryoshka_weights": [1.0, 0.0]}, "must be above 0"),
        ({"matryoshka_dims": [4, 2], "matryoshka_weights": [1.0, float("nan")]}, "must be above 0"),
    ],
)
def test_lengths_that_cannot_be_trained(options: dict[str, list[float]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CrossModalContrast(**options)(torch.eye(4), torch.eye(4), 1.0)  # type: ignore[arg-type]


def _average_over_ranks_is_the_whole_batch(gradient: str) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    own = slice(rank * SIZE // ranks, (rank + 1) * SIZE // ranks)
    model = TwoTowers()
    a, b = batch()
    found = CrossModalContrast(gradient)(*model(a[own], b[own]))  # type: ignore[arg-type]
    found.loss.backward()
    loss, gradients = whole_batch_gradients(detach_keys=gradient == "local")
    mean = found.loss.detach().clone()
    dist.all_reduce(mean)
    torch.testing.assert_close(mean / ranks, loss)
    for parameter, expected in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
        torch.testing.assert_close(parameter.grad / ranks, expected)


HARD = F.normalize(torch.randn(4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64), dim=1)


def whole_batch_with_negatives() -> tuple[Tensor, list[Tensor]]:
    model = TwoTowers()
    first, second, scale = model(*batch())
    targets = torch.arange(SIZE)
    loss = F.cross_entropy(scale * first @ torch.cat((second, HARD)).T, targets)
    loss = (loss + F.cross_entropy(scale * second @ first.T, targets)) / 2
    return loss.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


def test_negatives_are_further_candidates_of_the_first_side() -> None:
    model = TwoTowers()
    found = CrossModalContrast("exact", tile=4)(*model(*batch()), negatives=HARD)
    expected, gradients = whole_batch_with_negatives()
    torch.testing.assert_close(found.loss.detach(), expected)
    for mine, theirs in zip(
        torch.autograd.grad(found.loss, list(model.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    with pytest.raises(UserError, match="contents or negatives, not both"):
        CrossModalContrast()(*model(*batch()), contents=CONTENTS, negatives=HARD)


def _negatives_of_all_ranks() -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    own = slice(rank * SIZE // ranks, (rank + 1) * SIZE // ranks)
    model = TwoTowers()
    a, b = batch()
    CrossModalContrast("exact")(*model(a[own], b[own]), negatives=HARD.chunk(ranks)[rank]).loss.backward()
    _, gradients = whole_batch_with_negatives()
    for parameter, expected in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
        torch.testing.assert_close(parameter.grad / ranks, expected)


CONTENTS = torch.tensor([[0, 10], [1, 11], [0, 12], [3, 11], [4, 14], [4, 14]]).repeat(SIZE // 6 + 1, 1)[
    :SIZE
]


def whole_batch_without_duplicates() -> tuple[Tensor, list[Tensor]]:
    model = TwoTowers()
    first, second, scale = model(*batch())
    same = (CONTENTS[:, None] == CONTENTS).any(-1) & ~torch.eye(SIZE, dtype=torch.bool)
    logits, targets = (scale * first @ second.T).masked_fill(same, -torch.inf), torch.arange(SIZE)
    loss = (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
    return loss.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


def test_duplicates_are_no_negatives() -> None:
    model = TwoTowers()
    found = CrossModalContrast("exact", tile=4)(*model(*batch()), CONTENTS)
    expected, gradients = whole_batch_without_duplicates()
    torch.testing.assert_close(found.loss.detach(), expected)
    for mine, theirs in zip(
        torch.autograd.grad(found.loss, list(model.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def _duplicates_are_found_across_ranks() -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    own = slice(rank * SIZE // ranks, (rank + 1) * SIZE // ranks)
    model = TwoTowers()
    a, b = batch()
    found = CrossModalContrast("exact")(*model(a[own], b[own]), CONTENTS[own])
    found.loss.backward()
    _, gradients = whole_batch_without_duplicates()
    for parameter, expected in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
        torch.testing.assert_close(parameter.grad / ranks, expected)


def _lengths_average_over_ranks(gradient: str) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    own = slice(rank * SIZE // ranks, (rank + 1) * SIZE // ranks)
    model = TwoTowers()
    a, b = batch()
    nested(gradient)(*model(a[own], b[own]), CONTENTS[own]).loss.backward()
    _, gradients = whole_batch_nested(detach_keys=gradient == "local")
    for parameter, expected in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
        torch.testing.assert_close(parameter.grad / ranks, expected)


def _unequal_batches_are_an_error() -> None:
    rows = torch.ones(2 + dist.get_rank(), 4)
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        CrossModalContrast()(rows, rows, 1.0)


def _all() -> None:  # one pair of processes for all: starting them is what takes time
    _average_over_ranks_is_the_whole_batch("local")
    _average_over_ranks_is_the_whole_batch("exact")
    _duplicates_are_found_across_ranks()
    _negatives_of_all_ranks()
    _lengths_average_over_ranks("local")
    _lengths_average_over_ranks("exact")
    _unequal_batches_are_an_error()


@pytest.mark.distributed
def test_two_processes_average_to_one_and_refuse_unequal_batches(tmp_path: Path) -> None:
    run_in_processes(_all, tmp_path)
