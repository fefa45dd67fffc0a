import math

import numpy as np

from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.pinned import cosine, direction, halving, power2, sine, value_noise


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
    noise = value_noise(64, 64, 4, 4, Draws(1))
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert np.ptp(noise) > 0.5
    assert np.abs(np.diff(noise, axis=0)).max() < 0.12
