"""Interleaved timing of two or more implementations in one process.

Other load affects all of them equally, so ratios are more reliable than milliseconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Clock = Literal["cpu", "wall"]


@dataclass(frozen=True)
class Comparison:
    """Milliseconds of both sides (medians of rounds) and the speed-up.

    Attributes:
        ours: Median, ms.
        reference: Median, ms.
        ratio: Median over rounds of reference / ours; above 1 ours is faster.
        least: Smallest ratio of a round.
        most: Greatest ratio of a round.
    """

    ours: float
    reference: float
    ratio: float
    least: float
    most: float


def compare(
    ours: Callable[[], object], reference: Callable[[], object], rounds: int, clock: Clock = "wall"
) -> Comparison:
    """Time both in turns, see :func:`in_turns`."""
    mine, theirs = in_turns([ours, reference], rounds, clock)
    ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
    return Comparison(
        statistics.median(mine),
        statistics.median(theirs),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def in_turns(calls: Sequence[Callable[[], object]], rounds: int, clock: Clock = "wall") -> list[list[float]]:
    """Time calls in turns, after one of each that does not count -> for each its milliseconds, round by round.

    Args:
        calls: Functions to time.
        rounds: Calls of each that count; every other round the order is reversed.
        clock: ``wall``, or ``cpu`` for the time that the process's threads have run, which other processes disturb
            less. A GPU's work is waited for and timed by ``wall``.
    """
    tick = time.process_time if clock == "cpu" else time.perf_counter
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    order = list(zip(calls, times, strict=True))
    for turn in range(rounds):
        for call, own in order if turn % 2 == 0 else order[::-1]:
            _wait()
            start = tick()
            call()
            _wait()
            own.append((tick() - start) * 1e3)
    return times


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
