"""The computed permutation: every number once, evenly, and the same on every machine."""

import numpy as np
import pytest

from onepeace_pl.data.loading.permutation import FeistelPermutation

FIRST = [8, 9, 6, 5, 7, 3, 2, 4, 0, 1]
LARGE = [676025868, 961114491, 990276390]


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 5000])
def test_every_number_occurs_once(size: int) -> None:
    assert sorted(FeistelPermutation(size, 3, 1)(np.arange(size)).tolist()) == list(range(size))


def test_it_is_a_function_of_the_seeds_that_never_changes() -> None:
    assert FeistelPermutation(10, 0, 0)(np.arange(10)).tolist() == FIRST
    assert FeistelPermutation(10**9, 1, 2)(np.arange(3)).tolist() == LARGE
    assert FeistelPermutation(10, 0, 1)(np.arange(10)).tolist() != FIRST
    assert FeistelPermutation(10, 1, 0)(np.arange(10)).tolist() != FIRST


def test_numbers_are_spread_as_by_a_random_permutation() -> None:
    size, draws, parts = 96, 120, 12
    rng = np.random.default_rng(0)
    counts = np.zeros((2, parts, parts))
    for seed in range(draws):
        for kind, values in enumerate(
            (FeistelPermutation(size, seed)(np.arange(size)), rng.permutation(size))
        ):
            np.add.at(counts[kind], (np.arange(size) * parts // size, values * parts // size), 1)
    computed, drawn = counts.var(axis=(1, 2))
    assert 0.6 < computed / drawn < 1.6  # its standard deviation is 0.17


def test_a_large_range_is_read_at_any_place() -> None:
    size = 10**12
    some = FeistelPermutation(size, 5)(np.arange(size - 4000, size))
    assert len(np.unique(some)) == 4000
    assert abs(some.mean() / size - 0.5) < 0.03


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a permutation of 0 numbers"):
        FeistelPermutation(0)
    with pytest.raises(IndexError, match="positions from 1 to 3 of 3"):
        FeistelPermutation(3)([1, 3])
