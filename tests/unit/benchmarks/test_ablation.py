"""Every fast part can be switched off, and the step stays the same: only its cost is another one."""

from unittest.mock import Mock

import pytest
import torch

from onepeace_pl.benchmarks import workload
from onepeace_pl.benchmarks.ablation import PARTS, FastPart, prices


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_step_without_a_part_is_the_same(part: FastPart) -> None:
    stage = 2 if "audio" in part.name else 1
    backbone = workload.build("debug", stage)
    work = workload.make_batch(backbone, stage, 20, seconds=0.2)  # enough samples for sub-batches
    called = {name: Mock(wraps=plain) for name, plain in part.replacements.items()}
    results = []
    for chosen in (FastPart("all", {}), part):
        backbone.zero_grad()
        with chosen.off():
            loss = workload.loss(backbone, work, stage)
            loss.backward()
        grads = [None if p.grad is None else p.grad.clone() for p in backbone.parameters()]
        results.append((loss.item(), grads))
    (loss, grads), (other_loss, other_grads) = results
    assert other_loss == pytest.approx(loss, rel=1e-5)
    for mine, other in zip(grads, other_grads, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-6)
    with FastPart(part.name, {name: _method(mock) for name, mock in called.items()}).off(), torch.no_grad():
        workload.loss(backbone, work, stage)
    assert all(mock.called for mock in called.values()), "switched off where nobody looks"


def _method(mock: Mock) -> object:
    """A function, which a class binds like one."""
    return lambda *args, **kwargs: mock(*args, **kwargs)


def nothing() -> torch.Tensor:
    return torch.zeros(())


def slow() -> torch.Tensor:
    return torch.stack([torch.randn(200, 200) @ torch.randn(200, 200) for _ in range(20)]).sum() * 0


NOTHING = f"{__name__}.nothing"


def test_a_part_that_changes_the_loss_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"without it the loss is 1\.0, not 0\.0"):
        prices(lambda: nothing(), [FastPart("it", {NOTHING: lambda: torch.ones(())})], 2, "cpu")


def test_price_of_a_slow_part() -> None:
    whole, (price,) = prices(lambda: nothing(), [FastPart("it", {NOTHING: slow})], 5, "cpu")
    assert price.part == "it"
    assert 1 < price.low <= price.ratio <= price.high
    assert whole > 0
