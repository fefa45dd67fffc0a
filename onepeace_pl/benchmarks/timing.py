"""Time of two ways, in turns within one process.

Other work on the machine disturbs both alike, so the ratio of a round says more than its milliseconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

Clock = Literal["cpu", "wall"]


@dataclass(frozen=True)
class Comparison:
    """Milliseconds of both sides (medians of rounds) and how many times faster ours is.

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
    ours: Callable[[], Any], reference: Callable[[], Any], rounds: int, clock: Clock = "wall"
) -> Comparison:
    """Time both in turns, after one call of each that does not count.

    Args:
        ours: One side; called once a round.
        reference: The other side.
        rounds: Calls of each that count; every other round the order is reversed.
        clock: ``wall``, or ``cpu`` for the time that the process's threads have run, which other processes disturb
            less. A GPU's work is waited for and timed by ``wall``.
    """
    tick = time.process_time if clock == "cpu" else time.perf_counter
    ours(), reference()
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds):
        for mine in (True, False) if turn % 2 == 0 else (False, True):
            _wait()
            start = tick()
            (ours if mine else reference)()
            _wait()
            times[mine].append((tick() - start) * 1e3)
    ratios = [theirs / mine for mine, theirs in zip(times[True], times[False], strict=True)]
    return Comparison(
        statistics.median(times[True]),
        statistics.median(times[False]),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
