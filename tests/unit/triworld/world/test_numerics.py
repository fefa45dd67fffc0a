import math

import numpy as np

from onepeace_pl.triworld.world.numerics import (
    KeyedRandom,
    cosine,
    direction,
    halving,
    power2,
    sine,
    value_noise,
)


def test_the_stream_is_pinned() -> None:
    rng = KeyedRandom(7, 1, 3)
    assert [rng.integer(1000) for _ in range(6)] == [971, 522, 813, 768, 910, 229]
    assert 0 <= rng.uniform(2, 3) - 2 < 1


def test_keys_are_independent() -> None:
    firsts = {
        KeyedRandom(seed, split, index, 1).bits()
        for seed in range(3)
        for split in range(3)
        for index in range(9)
    }
    assert len(firsts) == 81


def test_shuffled_is_a_fair_permutation() -> None:
    rng = KeyedRandom(0)
    counts = [[0] * 3 for _ in range(3)]
    for _ in range(3000):
        order = rng.shuffled((0, 1, 2))
        assert sorted(order) == [0, 1, 2]
        for place, value in enumerate(order):
            counts[place][value] += 1
    assert all(900 < count < 1100 for row in counts for count in row)


def test_sine_and_cosine() -> None:
    turns = np.linspace(-3, 3, 1001)
    np.testing.assert_allclose(sine(turns), np.sin(2 * np.pi * turns), atol=2e-8)
    np.testing.assert_allclose(cosine(turns), np.cos(2 * np.pi * turns), atol=2e-8)
    np.testing.assert_allclose(direction(1 / 8), (math.sqrt(0.5), math.sqrt(0.5)), atol=1e-8)


def test_powers_of_two() -> None:
    exponents = np.linspace(-12, 5, 777)
    np.testing.assert_allclose(power2(exponents), np.exp2(exponents), rtol=2e-6)
    np.testing.assert_allclose(halving(np.array([0.0, 0.1, 0.2]), 0.1), [1.0, 0.5, 0.25], rtol=2e-6)


def test_value_noise_is_smooth_and_fills_its_range() -> None:
    noise = value_noise(64, 64, 4, 4, KeyedRandom(1))
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert np.ptp(noise) > 0.5
    assert np.abs(np.diff(noise, axis=0)).max() < 0.12
