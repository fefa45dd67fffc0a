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
PAIR_RESAMPLES = 500  # of confusions, one at a time
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


def proportion_bounds(
    successes: NDArray[np.int64], totals: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bounds (V,) of proportions: 95 % percentile bootstrap intervals, NaN without any trial.

    Args:
        successes: (V,) numbers of successes.
        totals: (V,) numbers of trials.
    """
    known = np.maximum(totals, 1)
    drawn = np.random.default_rng(SEED).binomial(known, successes / known, (MEAN_RESAMPLES, len(totals)))
    return _bounds(np.where(totals > 0, drawn / known, np.nan))


def f1_bounds(
    true_positives: NDArray[np.int64],
    false_positives: NDArray[np.int64],
    false_negatives: NDArray[np.int64],
    rows: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bounds (V,) of F1 scores: 95 % percentile bootstrap intervals over the rows of a set.

    Args:
        true_positives: (V,).
        false_positives: (V,).
        false_negatives: (V,).
        rows: Number of rows of the set.
    """
    counts = np.stack([true_positives, false_positives, false_negatives], 1)
    shares = np.concatenate([counts, rows - counts.sum(1, keepdims=True)], 1) / max(rows, 1)
    generator = np.random.default_rng(SEED)
    bounds = []
    for each in shares:  # class by class: all at once would take (R, V, 4) numbers
        hits, *misses = generator.multinomial(rows, each, MEAN_RESAMPLES).T[:3]
        wanted = 2 * hits + sum(misses)
        bounds.append(np.where(wanted > 0, 2 * hits / np.maximum(wanted, 1), np.nan))
    return _bounds(np.stack(bounds, 1)) if bounds else (np.zeros(0), np.zeros(0))


def mean_of_proportions_interval(successes: NDArray[np.int64], totals: NDArray[np.int64]) -> Interval:
    """Return the mean of proportions with its 95 % percentile bootstrap interval, resampled within each.

    Args:
        successes: (V,) numbers of successes.
        totals: (V,) numbers of trials, at least 1.
    """
    generator = np.random.default_rng(SEED)
    drawn = generator.binomial(totals, successes / totals, (MEAN_RESAMPLES, len(totals)))
    low, high = _bounds((drawn / totals).mean(1, keepdims=True))
    return Interval(float((successes / totals).mean()), float(low[0]), float(high[0]))


def f1_macro_interval(pairs: NDArray[np.int64], value: float) -> Interval:
    """Return the macro F1 score with its 95 % percentile bootstrap interval over rows.

    Args:
        pairs: True class, predicted class and number of rows of each pair that occurs, (V, 3).
        value: The score.
    """
    true, predicted, counts = pairs.T
    right, classes, rows = true == predicted, int(pairs[:, :2].max()) + 1, int(counts.sum())
    generator = np.random.default_rng(SEED)
    means = np.zeros(PAIR_RESAMPLES)
    for number in range(PAIR_RESAMPLES):
        drawn = generator.multinomial(rows, counts / rows)
        hits = np.bincount(true[right], drawn[right], classes)
        wanted = np.bincount(true, drawn, classes) + np.bincount(predicted, drawn, classes)
        means[number] = (2 * hits[wanted > 0] / wanted[wanted > 0]).mean()
    low, high = _bounds(means[:, None])
    return Interval(value, float(low[0]), float(high[0]))


def _bounds(resamples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of resampled values (R, V); NaN where no resample is a number."""
    tail = (1 - LEVEL) / 2
    low, high = np.full((2, resamples.shape[1]), np.nan)
    missing = np.isnan(resamples)
    whole, part = ~missing.any(0), missing.any(0) & ~missing.all(0)
    for columns, quantile in ((whole, np.quantile), (part, np.nanquantile)):  # the second is slow
        if columns.any():
            low[columns], high[columns] = quantile(resamples[:, columns], [tail, 1 - tail], axis=0)
    return low, high
