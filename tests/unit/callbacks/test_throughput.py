import time

import pytest
import torch

from onepeace_pl.callbacks import Throughput
from onepeace_pl.callbacks.throughput import TrainClock, batch_size


def test_the_clock_counts_what_lies_between_batches_but_not_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = TrainClock(window=2)
    clock.start()
    for seconds in (1.0, 2.0, 4.0):
        now += seconds
        clock.lap(10)
    assert clock.mean_rate == pytest.approx(30 / 7)
    assert clock.rate == pytest.approx(20 / 6)  # the last two
    clock.pause()
    now += 100
    clock.start()
    now += 1
    clock.lap(10)
    assert clock.seconds == pytest.approx(8)
    assert clock.samples == 40


def test_nothing_counted_is_no_division_by_zero() -> None:
    assert TrainClock().rate == TrainClock().mean_rate == 0


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(3, 2),
        (torch.zeros(3, 2), torch.zeros(3)),
        {"image": torch.zeros(3, 2), "text": ["a", "b", "c"]},
        [{"ids": ["a", "b", "c"]}, 5],
        ["a", "b", "c"],
    ],
)
def test_size_of_a_batch(batch: object) -> None:
    assert batch_size(batch) == 3


def test_errors() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Throughput(window=0)
