"""Both kinds of stochastic depth: off outside training, unbiased, one draw for a sample."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onepeace_pl.nn.drop_path import residual

X = torch.arange(24, dtype=torch.float32).view(4, 3, 2)


def branch(seen: list[list[int]]) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Adds 1 to everything, and notes which samples it was asked for."""

    def call(u: Tensor, rows: Tensor | None) -> Tensor:
        seen.append(list(range(len(u))) if rows is None else rows.tolist())
        assert rows is None or torch.equal(u, X[rows])
        return torch.ones_like(u)

    return call


@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize(("rate", "training"), [(0.9, False), (0.0, True), (0.0, False)])
def test_nothing_is_dropped(rate: float, training: bool, subset: bool) -> None:
    assert torch.equal(residual(X, branch([]), rate, subset, training), X + 1)


@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.7])
def test_the_mean_is_the_whole_branch(rate: float, subset: bool) -> None:
    torch.manual_seed(0)
    draws = torch.stack([residual(X, branch([]), rate, subset, True) - X for _ in range(4000)])
    assert torch.allclose(draws, draws[..., :1, :1], atol=1e-4)  # a sample is dropped as a whole
    samples = draws[..., 0, 0]
    error = samples.std(0) / len(samples) ** 0.5 + 1e-6
    assert ((samples.mean(0) - 1).abs() < 4.5 * error).all()


def test_bernoulli_draws_for_each_sample() -> None:
    torch.manual_seed(1)
    draws = torch.stack([residual(X, branch([]), 0.4, False, True) - X for _ in range(4000)])[..., 0, 0]
    kept = draws > 0
    assert torch.allclose(draws, kept / 0.6, atol=1e-4)
    assert kept.float().mean().item() == pytest.approx(0.6, abs=0.02)
    assert torch.corrcoef(kept.float().T).sub(torch.eye(4)).abs().max() < 0.08


@pytest.mark.parametrize(("rate", "count"), [(0.1, 4), (0.4, 2), (0.5, 2), (0.7, 1), (0.95, 1)])
def test_subset_computes_a_fixed_share(rate: float, count: int) -> None:
    torch.manual_seed(2)
    seen: list[list[int]] = []
    for _ in range(60):
        out = residual(X, branch(seen), rate, True, True) - X
        rows = seen[-1]
        assert len(set(rows)) == count
        expected = torch.zeros(4)
        expected[rows] = 4 / count
        assert torch.allclose(out[:, 0, 0], expected, atol=1e-5)
    assert {row for rows in seen for row in rows} == {0, 1, 2, 3}


@pytest.mark.parametrize("subset", [False, True])
def test_gradients_pass_the_kept_alone(subset: bool) -> None:
    torch.manual_seed(3)
    x, weight = X.clone().requires_grad_(), torch.ones((), requires_grad=True)
    out = residual(x, lambda u, rows: u * weight, 0.5, subset, True)
    kept = (out - x).detach()[:, 1, 1] > 0
    out.sum().backward()
    assert torch.equal(x.grad[:, 0, 0] > 1, kept)
    assert weight.grad.item() == pytest.approx(2 * X[kept].sum().item())
