"""Bootstrap intervals over queries."""

import numpy as np
import pytest

from onepeace_pl.metrics.bootstrap import mean_difference_interval, mean_interval


def hits(right: int, queries: int) -> np.ndarray:
    return np.arange(queries) < right


def test_the_interval_of_a_share_is_that_of_a_binomial() -> None:
    found = mean_interval(hits(64, 256))
    width = 1.96 * np.sqrt(0.25 * 0.75 / 256)
    assert found.value == 0.25
    assert found.low == pytest.approx(0.25 - width, abs=1 / 256)
    assert found.high == pytest.approx(0.25 + width, abs=1 / 256)


def test_it_is_what_resampling_the_queries_gives() -> None:
    values = np.random.default_rng(0).choice([-1.0, 0.0, 0.5, 1.0], 100, p=[0.2, 0.5, 0.2, 0.1])
    picks = np.random.default_rng(1).integers(0, 100, (10_000, 100))
    low, high = np.quantile(values[picks].mean(1), [0.025, 0.975])
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_of_four_queries_two_right() -> None:
    found = mean_interval(hits(2, 4))  # of 16 equally likely resamples one has no hit, one has four
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_it_is_the_same_each_time_and_in_any_order() -> None:
    assert mean_interval(hits(7, 50)) == mean_interval(hits(7, 50)[::-1])


def test_equal_values_have_no_width() -> None:
    found = mean_interval(np.zeros(12))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_difference_of_two_means() -> None:
    generator = np.random.default_rng(0)
    one, two = generator.normal(1.0, 1.0, 400), generator.normal(0.0, 2.0, 100)
    found = mean_difference_interval(one, two)
    half = 1.96 * np.sqrt(one.var() / 400 + two.var() / 100)
    assert found.value == pytest.approx(one.mean() - two.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.06)
