"""Bootstrap confidence intervals over queries.

Shapes: Q queries, R resamples, V distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True)
class Interval:
    """Mean with its confidence interval.

    Attributes:
        value: The mean.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


def mean_interval(values: NDArray[np.float64] | NDArray[np.bool_]) -> Interval:
    """Return the mean of values (Q,) with its 95 % percentile bootstrap interval; the same at every call.

    Where all values are equal, the interval has no width.
    """
    count = len(values)
    distinct, times = np.unique(values.astype(np.float64), return_counts=True)
    # The mean of a resample depends only on how often each distinct value was drawn: (R, V) instead of (R, Q) numbers.
    drawn = np.random.default_rng(SEED).multinomial(count, times / count, RESAMPLES)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn @ distinct / count, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))
