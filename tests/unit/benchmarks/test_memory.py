"""Memory of the losses grows with the batch, not with its square."""

import pytest

from onepeace_pl.benchmarks.memory import exponent, loss_bytes, peak_bytes, step_costs


@pytest.mark.parametrize("loss", ["denoising", "alignment"])
def test_loss_memory_is_linear_in_the_batch(loss: str) -> None:
    sizes = [16, 32, 64]
    ours = [loss_bytes(loss, True, size) for size in sizes]
    dense = [loss_bytes(loss, False, size) for size in sizes]
    assert exponent(sizes, ours) <= 1.1
    assert exponent(sizes, dense) >= 1.7  # the counter sees what it should


def test_a_step_needs_less_than_the_original_s() -> None:
    *ours, original = step_costs("debug", stage=1, batch=4)
    none, selective, full = (each.peak for each in ours)
    assert ours[0].weights == original.weights < full < selective < none < 0.7 * original.peak
    first, second, third = (each.cost for each in ours)
    assert first.flops <= original.cost.flops
    assert first.flops < second.flops < third.flops
    assert first.bytes < 0.9 * original.cost.bytes
    assert first.kernels < original.cost.kernels


def test_the_counter_forgets_what_is_dead() -> None:
    import torch

    def call() -> None:
        for _ in range(5):
            torch.zeros(1000, dtype=torch.float32).add_(1)

    assert 4000 <= peak_bytes(call, "cpu") <= 8000


def test_exponent_of_a_power() -> None:
    assert exponent([1, 2, 4, 8], [3.0 * n**1.5 for n in (1, 2, 4, 8)]) == pytest.approx(1.5)
