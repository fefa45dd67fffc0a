import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onepeace_pl.objectives import info_nce


def dense(
    queries: Tensor, keys: Tensor, targets: Tensor, scale: Tensor | float, smoothing: float = 0.0
) -> Tensor:
    """The textbook: one smoothed target distribution a row, with the whole matrix in memory."""
    log_p = (scale * queries @ keys.T).log_softmax(1)
    mass = torch.full_like(log_p, smoothing / (len(keys) - 1)).scatter(1, targets[:, None], 1 - smoothing)
    return -(mass * log_p).sum(1).mean()


def sample(
    m: int, n: int, d: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(m * 1000 + n)
    queries = F.normalize(torch.randn(m, d, generator=generator, dtype=torch.float64), dim=1)
    keys = F.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1)
    targets = torch.randint(n, (m,), generator=generator)
    scale = torch.tensor(3.7, dtype=torch.float64)
    return queries.to(dtype), keys.to(dtype), targets, scale


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("tile", [1, 3, 7, 8, 100])
def test_equals_dense_in_value_and_all_gradients(smoothing: float, tile: int) -> None:
    queries, keys, targets, scale = sample(7, 11, 5)
    inputs = [t.requires_grad_() for t in (queries, keys, scale)]
    found = info_nce(queries, keys, targets, scale, smoothing, tile)
    expected = dense(queries, keys, targets, scale, smoothing)
    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=1e-12)
    # A factor after the loss must reach every gradient.
    for mine, theirs in zip(
        torch.autograd.grad(0.3 * found.loss, inputs),
        torch.autograd.grad(0.3 * expected, inputs),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-13)


def test_gradcheck() -> None:
    queries, keys, targets, scale = sample(5, 6, 3)
    for t in (queries, keys, scale):
        t.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda q, k, s: info_nce(q, k, targets, s, 0.1, tile=2).loss, (queries, keys, scale)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("tile", [2, 100])
def test_keys_that_hold_the_same_are_no_negatives(smoothing: float, tile: int) -> None:
    queries, keys, targets, scale = sample(7, 11, 5)
    inputs = [t.requires_grad_() for t in (queries, keys, scale)]
    generator = torch.Generator().manual_seed(3)
    of_keys = torch.randint(4, (11, 2), generator=generator)
    of_queries = of_keys[targets]
    found = info_nce(queries, keys, targets, scale, smoothing, tile, (of_queries, of_keys))
    losses = []
    for query, target, held in zip(queries, targets, of_queries, strict=True):
        kept = ~(of_keys == held).any(1)
        kept[target] = True
        place = kept[:target].sum()[None]
        others = keys[kept]
        losses.append(
            dense(query[None], others, place, scale, smoothing) if len(others) > 1 else 0 * query.sum()
        )
    assert (of_queries[:, None] == of_keys).any(-1).sum() > len(queries)
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(
        torch.autograd.grad(found.loss, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-13)


def test_without_another_key_nothing_is_told_apart() -> None:
    queries, keys, targets, scale = sample(3, 4, 5)
    same = torch.zeros(4, 1, dtype=torch.int64)
    found = info_nce(queries.requires_grad_(), keys, targets, scale, 0.1, contents=(same[:3], same))
    assert found.loss.item() == pytest.approx(0.0, abs=1e-12)
    assert found.accuracy.item() == 1.0
    found.loss.backward()
    assert queries.grad is not None
    assert queries.grad.abs().max() <= 1e-12
    distinct = torch.arange(4)[:, None]
    plain = info_nce(queries, keys, targets, scale, 0.1)
    assert info_nce(
        queries, keys, targets, scale, 0.1, contents=(distinct[targets], distinct)
    ).loss.item() == (pytest.approx(plain.loss.item(), rel=1e-12))


def test_smoothing_is_the_sum_of_two_likelihoods() -> None:
    """The published form: (1 - e - e') of the target's likelihood and e' of everybody's."""
    queries, keys, targets, scale = sample(6, 9, 4)
    log_p = (scale * queries @ keys.T).log_softmax(1)
    spread = 0.2 / 8
    nll = -log_p.gather(1, targets[:, None])[:, 0]
    expected = ((1 - 0.2 - spread) * nll + spread * -log_p.sum(1)).mean()
    torch.testing.assert_close(info_nce(queries, keys, targets, scale, 0.2).loss, expected)


def test_accuracy_is_the_share_of_hits_and_has_no_gradient() -> None:
    queries = torch.eye(4).requires_grad_()
    found = info_nce(queries, torch.eye(4), torch.tensor([0, 1, 2, 0]), 10.0, tile=3)
    assert found.accuracy.item() == 0.75
    assert not found.accuracy.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_inputs_are_accumulated_in_float32(dtype: torch.dtype) -> None:
    queries, keys, targets, _ = sample(64, 300, 16, dtype)
    queries.requires_grad_()
    keys.requires_grad_()
    found = info_nce(queries, keys, targets, 2.5, 0.1, tile=10)
    exact = [t.detach().double().requires_grad_() for t in (queries, keys)]
    expected = dense(*exact, targets, 2.5, 0.1)
    assert found.loss.dtype == torch.float32
    assert abs(found.loss.item() - expected.item()) < 1e-6
    found.loss.backward()
    expected.backward()
    for mine, theirs in zip((queries, keys), exact, strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert mine.grad.dtype == dtype
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-2, atol=1e-6)


def test_autocast_does_not_reach_inside() -> None:
    queries, keys, targets, _ = sample(8, 16, 8, torch.float32)
    plain = info_nce(queries, keys, targets, 2.5)
    with torch.autocast("cpu", torch.bfloat16):
        cast = info_nce(queries, keys, targets, 2.5)
    assert torch.equal(plain.loss, cast.loss)


def test_large_logits_do_not_overflow() -> None:
    queries, keys, targets, _ = sample(4, 5, 3, torch.float32)
    found = info_nce((1e3 * queries).requires_grad_(), keys, targets, 100.0, 0.1)
    found.loss.backward()
    assert math.isfinite(found.loss.item())


def test_keys_without_gradient_get_none() -> None:
    queries, keys, targets, scale = sample(4, 5, 3)
    queries.requires_grad_()
    info_nce(queries, keys, targets, scale).loss.backward()
    assert queries.grad is not None
    assert keys.grad is None
    assert scale.grad is None


def test_no_query_is_zero_with_a_graph() -> None:
    queries = torch.zeros(0, 4, requires_grad=True)
    keys = torch.ones(3, 4, requires_grad=True)
    scale = torch.tensor(2.0, requires_grad=True)
    found = info_nce(queries, keys, torch.zeros(0, dtype=torch.int64), scale, 0.1)
    assert found.loss.item() == 0
    assert found.accuracy.item() == 0
    found.loss.backward()
    assert keys.grad is not None
    assert keys.grad.abs().sum() == 0
    assert scale.grad is not None
    assert scale.grad.item() == 0
    assert queries.grad is not None
    assert queries.grad.shape == (0, 4)


def test_no_query_and_no_key_is_zero() -> None:
    empty = torch.zeros(0, 4, requires_grad=True)
    info_nce(empty, empty, torch.zeros(0, dtype=torch.int64), 2.0).loss.backward()


def test_one_key_is_zero_whatever_the_smoothing() -> None:
    queries = torch.randn(3, 4, requires_grad=True)
    found = info_nce(queries, torch.randn(1, 4), torch.zeros(3, dtype=torch.int64), 2.5, 0.1)
    assert found.loss.item() == pytest.approx(0, abs=1e-6)
    found.loss.backward()
    assert queries.grad is not None
    assert queries.grad.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queries": torch.zeros(3, 5)}, "(3, 5)"),
        ({"targets": torch.zeros(4, dtype=torch.int64)}, "(4,)"),
        ({"smoothing": 1.0}, "1.0"),
        ({"tile": 0}, "tile"),
        ({"keys": torch.zeros(0, 4)}, "(0, 4)"),
    ],
)
def test_errors_name_the_value(change: dict[str, object], words: str) -> None:
    arguments = {
        "queries": torch.zeros(3, 4),
        "keys": torch.zeros(2, 4),
        "targets": torch.zeros(3, dtype=torch.int64),
        "scale": 1.0,
    }
    with pytest.raises(ValueError) as caught:
        info_nce(**(arguments | change))  # type: ignore[arg-type]
    assert words in str(caught.value)


class LargestTensor(TorchDispatchMode):
    """Remembers the number of bytes of the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return result


def largest(size: int) -> int:
    queries, keys, targets, scale = sample(size, size, 8, torch.float32)
    for t in (queries, keys, scale):
        t.requires_grad_()
    with LargestTensor() as seen:
        info_nce(queries, keys, targets, scale, 0.1, tile=32).loss.backward()
    return seen.bytes


def test_memory_grows_linearly() -> None:
    exponent = math.log2(largest(2048) / largest(1024))
    assert exponent <= 1.1


def test_nothing_of_the_size_of_the_logits_is_kept_for_backward() -> None:
    queries, keys, targets, scale = sample(512, 512, 8, torch.float32)
    queries.requires_grad_()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        info_nce(queries, keys, targets, scale, tile=64)
    assert 0 < sum(kept) <= 2 * 512 * 8
