"""Bootstrap confidence intervals over queries.

Shapes: Q queries, R resamples, V distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 10_000
MEAN_RESAMPLES = 2_000  # of values that are all distinct, which takes (R, N) numbers
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


def mean_difference_interval(one: NDArray[np.float64], two: NDArray[np.float64]) -> Interval:
    """Return mean(one) - mean(two) of independent samples with its 95 % percentile bootstrap interval.

    Args:
        one: (N,) values.
        two: (M,) values.
    """
    generator = np.random.default_rng(SEED)
    means = [
        generator.multinomial(len(values), np.full(len(values), 1 / len(values)), MEAN_RESAMPLES)
        @ values
        / len(values)
        for values in (one, two)
    ]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means[0] - means[1], [tail, 1 - tail])
    return Interval(float(one.mean() - two.mean()), float(low), float(high))
