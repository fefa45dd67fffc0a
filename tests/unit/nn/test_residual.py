"""Both kinds of stochastic depth: off outside training, unbiased, one draw for a sample of all its modalities."""

import pytest
import torch
from torch import Tensor

from onepeace_pl.nn import Segment, TokenSequence, TransformerConfig
from onepeace_pl.nn.fast.packing import pack, unpack
from onepeace_pl.nn.residual import keep_factor, kept_samples
from onepeace_pl.nn.transformer import Block

X = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(0))
SEQUENCE = TokenSequence(X, (Segment("a", 0, 2), Segment("b", 2, 5)))


def block(rate: float, mode: str) -> Block:
    """Both branches are constants, attention's 1 and the feed-forward's 10, so that a result tells what was kept."""
    config = TransformerConfig(
        width=8, depth=2, heads=2, feed_forward=8, drop_path=rate, drop_path_mode=mode, layer_scale=0.0
    )
    made = Block(config, ("a", "b"), rate)
    with torch.no_grad():
        for layer, value in (
            (made.attention.project_out["shared"].linear, 1.0),
            (made.feed_forward["a"].contract, 10.0),
            (made.feed_forward["b"].contract, 10.0),
        ):
            layer.weight.zero_()
            layer.bias.fill_(value)
    return made


def run(block: Block) -> Tensor:
    rows, packings = pack([SEQUENCE])
    return unpack(block(rows, [[None]], packings), packings)[0]


def branches(out: Tensor) -> tuple[Tensor, Tensor]:
    """Both branches' factors of each sample (B,), one for all its tokens and channels."""
    added = out - X
    assert torch.allclose(added, added[:, :1, :1].expand_as(added), atol=1e-4)
    return added[:, 0, 0], added[:, 3, 3]


@pytest.mark.parametrize("mode", ["bernoulli", "subset"])
@pytest.mark.parametrize(("rate", "training"), [(0.9, False), (0.0, True), (0.0, False)])
def test_nothing_is_dropped(rate: float, training: bool, mode: str) -> None:
    out = run(block(rate, mode).train(training))
    assert torch.allclose(out, X + 11, atol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.7])
def test_bernoulli_draws_for_each_sample(rate: float) -> None:
    torch.manual_seed(1)
    draws = torch.stack([keep_factor(X, rate).flatten() for _ in range(4000)])
    kept = draws > 0
    assert torch.allclose(draws, kept / (1 - rate), atol=1e-4)
    assert kept.float().mean().item() == pytest.approx(1 - rate, abs=0.02)
    assert torch.corrcoef(kept.float().T).sub(torch.eye(4)).abs().max() < 0.08


@pytest.mark.parametrize(("rate", "count"), [(0.1, 4), (0.4, 2), (0.5, 2), (0.7, 1), (0.95, 1)])
def test_subset_computes_a_fixed_share(rate: float, count: int) -> None:
    torch.manual_seed(2)
    seen = [kept_samples(X, rate).tolist() for _ in range(60)]
    assert all(len(set(rows)) == count for rows in seen)
    assert {row for rows in seen for row in rows} == {0, 1, 2, 3}


@pytest.mark.parametrize(("mode", "factor"), [("bernoulli", 2.0), ("subset", 2.0)])
@torch.no_grad()
def test_a_sample_is_dropped_as_a_whole_and_each_branch_by_itself(mode: str, factor: float) -> None:
    torch.manual_seed(3)
    made = block(0.5, mode).train()
    sums = torch.stack([branches(run(made))[0] for _ in range(400)])
    allowed = torch.tensor([0.0, 1.0, 10.0, 11.0]) * factor
    nearest = (sums[..., None] - allowed).abs().min(-1)
    assert nearest.values.max() < 1e-4
    assert len(nearest.indices.unique()) == 4
    assert sums.mean().item() == pytest.approx(11, abs=1.5)  # six deviations: 10 / sqrt(1600) each


@pytest.mark.parametrize("mode", ["bernoulli", "subset"])
def test_gradients_pass_the_kept_alone(mode: str) -> None:
    torch.manual_seed(4)
    made = block(0.5, mode).train()
    out = run(made)
    out[:, :2].sum().backward()
    fed = branches(out.detach())[0] > 10
    expected = 2.0 * fed.sum() * 2  # two tokens of each kept sample, divided by the share that is kept
    assert made.feed_forward["a"].contract.bias.grad[0].item() == pytest.approx(expected.item())
    assert made.feed_forward["b"].contract.bias.grad[0].item() == 0
