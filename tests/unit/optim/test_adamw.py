"""AdamW against its formula, with epsilon in either place."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from onepeace_pl.optim import AdamW

STEPS, RATE, BETAS, EPS, DECAY = 4, 0.1, (0.9, 0.98), 1e-2, 0.05  # an epsilon that matters
Gradients = list[list[Tensor | None]]  # by step, then by parameter


def start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator) for size in ((3, 4), (5,))]


def gradients() -> Gradients:
    generator = torch.Generator().manual_seed(1)
    drawn: Gradients = [
        [0.02 * torch.randn(p.shape, generator=generator) for p in start()] for _ in range(STEPS)
    ]
    drawn[1][1] = None  # a step that does not reach one of the parameters
    return drawn


def formula(before: bool, given: Gradients) -> list[Tensor]:
    """Adam's own words, in float64: decay, moments, correction."""
    found = []
    for i, value in enumerate(start()):
        p, m, v, t = value.double(), torch.zeros(value.shape).double(), torch.zeros(value.shape).double(), 0
        for step in given:
            if step[i] is None:
                continue
            g, t = step[i].double(), t + 1
            m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
            first, second = 1 - BETAS[0] ** t, (1 - BETAS[1] ** t) ** 0.5
            root = (v.sqrt() + EPS) / second if before else v.sqrt() / second + EPS
            p = (1 - RATE * DECAY) * p - RATE * (m / first) / root
        found.append(p)
    return found


def made(parameters: list[Tensor], **options: Any) -> AdamW:
    groups = [{"params": parameters, "name": "all", "lr_scale": 1.0}]
    return AdamW(groups, RATE, BETAS, EPS, DECAY, **options)


def run(optimizer: AdamW, parameters: list[Tensor], given: Gradients, how: str) -> None:
    for step in given:

        def closure(step: list[Tensor | None] = step) -> float:
            assert torch.is_grad_enabled()
            for p, g in zip(parameters, step, strict=True):
                p.grad = None if g is None else g.clone()
            return 7.0

        if how == "closure":
            assert optimizer.step(closure) == 7.0
        else:
            closure()
            assert optimizer.step() is None


def trainable() -> list[Tensor]:
    return [torch.nn.Parameter(value) for value in start()]


@pytest.mark.parametrize("how", ["closure", "before"])
@pytest.mark.parametrize("kernel", ["single", "foreach", "fused"])
@pytest.mark.parametrize("before", [False, True])
def test_both_places_of_epsilon(before: bool, kernel: str, how: str) -> None:
    parameters = trainable()
    optimizer = made(parameters, eps_before_bias_correction=before, fused=True if kernel == "fused" else None)
    optimizer.param_groups[0]["foreach"] = kernel == "foreach"
    run(optimizer, parameters, gradients(), how)
    for p, expected, other in zip(
        parameters, formula(before, gradients()), formula(not before, gradients()), strict=True
    ):
        assert (p - expected).abs().max() <= 1e-6
        assert (p - other).abs().max() > 1e-3


@pytest.mark.parametrize("fused", [None, True])
def test_resumed(fused: bool | None) -> None:
    unbroken, given = trainable(), gradients()
    optimizer = made(unbroken, eps_before_bias_correction=True, fused=fused)
    run(optimizer, unbroken, given[:2], "before")
    weights, state = copy.deepcopy([p.data for p in unbroken]), copy.deepcopy(optimizer.state_dict())
    assert state["param_groups"][0]["eps"] == EPS
    resumed = [torch.nn.Parameter(w) for w in weights]
    again = made(resumed, eps_before_bias_correction=True, fused=fused)
    again.load_state_dict(state)
    for parameters, one in ((unbroken, optimizer), (resumed, again)):
        run(one, parameters, given[2:], "before")
    assert all(torch.equal(a, b) for a, b in zip(unbroken, resumed, strict=True))


def test_groups_are_as_before_a_step_that_fails_or_is_watched() -> None:
    parameters = trainable()
    optimizer = made(parameters, eps_before_bias_correction=True)
    groups, calls = optimizer.param_groups, []

    def fail() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(fail)
    optimizer.register_step_post_hook(lambda *_: calls.append(len(optimizer.param_groups[0]["params"])))
    run(optimizer, parameters, gradients(), "closure")
    assert calls == [2] * STEPS  # once a step, over whole groups
    assert optimizer.param_groups is groups


def test_a_rate_that_is_set_while_gradients_are_computed_holds() -> None:
    parameters = trainable()
    optimizer = made(parameters, eps_before_bias_correction=True)

    def stop_learning() -> float:
        for p, g in zip(parameters, gradients()[0], strict=True):
            p.grad = g
        optimizer.param_groups[0]["lr"] = 0.0
        return 0.0

    optimizer.step(stop_learning)
    assert all(torch.equal(p, value) for p, value in zip(parameters, start(), strict=True))
    assert optimizer.param_groups[0]["lr"] == 0.0
