"""How far two samples of one distribution may lie apart.

A comparison fails for a right implementation with a chance of ``CHANCE``, so that a whole set of numbers, with about a
thousand of them, does so once in a million. Means are taken as normal, as they are after hundreds of draws; variances
are compared by the F test, whose bound is exact for normal values and too wide for those with lighter tails, such as
uniform and truncated ones.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f
from torch import Tensor

CHANCE = 1e-9
DEVIATIONS = NormalDist().inv_cdf(1 - CHANCE / 2)  # 6.1


def assert_same_mean(mine: NDArray, mean: float, count: int, name: str = "") -> None:
    """Compare with the mean of ``count`` values; the noise is taken from the spread of mine."""
    noise = mine.std(ddof=1) * math.sqrt(1 / len(mine) + 1 / count)
    assert abs(mine.mean() - mean) <= DEVIATIONS * noise + 1e-7, (name, mine.mean(), mean, noise)


def assert_same_spread(mine: NDArray, deviation: float, count: int, name: str = "") -> None:
    """Compare with the standard deviation of ``count`` values."""
    ratio = (mine.std(ddof=1) / deviation) ** 2
    high = f.isf(CHANCE / 2, len(mine) - 1, count - 1)
    low = 1 / f.isf(CHANCE / 2, count - 1, len(mine) - 1)
    assert low <= ratio <= high, (name, ratio, low, high)


def assert_same_range(mine: NDArray, least: float, greatest: float, count: int, name: str = "") -> None:
    """Compare with the extremes of ``count`` values.

    Whatever the distribution, the k greatest of all are mine with a chance of at most (my share of all values)^k.
    """
    share = len(mine) / (len(mine) + count)
    allowed = math.ceil(math.log(CHANCE / 2) / math.log(share))
    for beyond in (np.sum(mine > greatest + 1e-7), np.sum(mine < least - 1e-7)):
        assert beyond < allowed, (name, beyond, allowed)


def assert_same_count(
    mine: NDArray, least: int, greatest: int, mean: float, count: int, name: str = ""
) -> None:
    """Compare whole numbers: exactly where they never vary."""
    if least == greatest:
        assert mine.min() == mine.max() == least, name
    else:
        assert_same_range(mine, least, greatest, count, name)
        assert_same_mean(mine, mean, count, name)


def assert_same_initialisation(tensor: Tensor, theirs: dict[str, float], name: str) -> None:
    """Compare a parameter as first initialised with the statistics of another draw of it."""
    mine = tensor.detach().double().flatten().numpy()
    if theirs["std"] == 0 or len(mine) < 2:
        assert abs(mine - theirs["mean"]).max() <= 1e-6, name
        return
    assert_same_mean(mine, theirs["mean"], len(mine), name)
    assert_same_spread(mine, theirs["std"], len(mine), name)
    assert_same_range(mine, theirs["min"], theirs["max"], len(mine), name)
