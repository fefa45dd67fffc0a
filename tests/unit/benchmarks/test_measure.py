"""Memory of the losses grows with the batch, not with its square; both sides of a comparison are timed."""

import pytest

from onepeace_pl.benchmarks.measure import compare, exponent, loss_bytes


@pytest.mark.parametrize("loss", ["denoising", "alignment"])
def test_loss_memory_is_linear_in_the_batch(loss):
    sizes = [16, 32, 64]
    ours = [loss_bytes(loss, True, size) for size in sizes]
    dense = [loss_bytes(loss, False, size) for size in sizes]
    assert exponent(sizes, ours) <= 1.1
    assert exponent(sizes, dense) >= 1.7  # the counter sees what it should


def test_both_sides_are_called_as_often():
    calls = []
    result = compare(lambda: calls.append("ours"), lambda: calls.append("reference"), rounds=3)
    assert calls.count("ours") == calls.count("reference") == 4
    assert result.least <= result.ratio <= result.most
