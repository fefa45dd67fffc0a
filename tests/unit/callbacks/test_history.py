import math

import pytest
import torch

from onepeace_pl.callbacks.history import History


def fed(steps: int, total: float, points: int) -> History:
    history = History(points)
    for step in range(1, steps + 1):
        history.add_losses({"loss": torch.tensor(float(step))})
        if history.due(step, total):
            history.point(step)
    return history


def test_a_long_run_is_thinned_by_averaging() -> None:
    curve = fed(1000, 1000, points=10).losses["loss"]
    assert curve.steps == list(range(100, 1001, 100))
    assert curve.numbers() == pytest.approx([100 * i + 50.5 for i in range(10)])


def test_a_short_run_keeps_every_step() -> None:
    assert fed(7, 7, points=10).losses["loss"].numbers() == [1, 2, 3, 4, 5, 6, 7]


def test_a_run_without_known_end_is_thinned_more_and_more() -> None:
    steps = fed(5000, math.inf, points=20).losses["loss"].steps
    assert 20 < len(steps) < 200
    assert steps[-1] - steps[-2] > steps[1] - steps[0]


def test_ends_are_means_over_a_twentieth() -> None:
    history = fed(40, 40, points=100)
    assert history.ends(history.losses["loss"]) == (1.5, 39.5)
