"""Both sides of every comparison do the same: equal results, gradients included."""

from collections.abc import Callable

import pytest
import torch

from onepeace_pl.benchmarks import cases
from onepeace_pl.benchmarks.timing import compare

SETTING = cases.Setting("debug", 2, torch.float32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: cases.attention(SETTING, [9]),
        lambda: cases.bias(SETTING, 4),
        lambda: cases.layer(SETTING, [17]),
    ],
    ids=["attention", "bias", "layer"],
)
def test_both_sides_give_the_same(make: Callable[[], list[cases.Case]]) -> None:
    for case in make():
        ours, reference = case.ours(), case.reference()
        assert ours.requires_grad == reference.requires_grad == (not case.name.endswith("forward")), case.name
        torch.testing.assert_close(ours.expand_as(reference), reference, rtol=1e-4, atol=1e-5, msg=case.name)


def test_both_sides_are_called_as_often() -> None:
    calls: list[str] = []
    result = compare(lambda: calls.append("ours"), lambda: calls.append("reference"), rounds=3)
    assert calls.count("ours") == calls.count("reference") == 4
    assert result.least <= result.ratio <= result.most
