"""Bit-exact random numbers, functions and noise: the same on every machine and in every release of numpy.

``numpy.random.Generator`` may change its streams between releases; ``SeedSequence`` and the raw output of
``PCG64`` may not, so all draws are made from raw 64-bit words with integer arithmetic. The transcendental
functions of numpy differ between processors and builds. Here they are made of additions, multiplications and
roundings, each its own array operation, which IEEE 754 defines to the last bit.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
_BLOCK = 64


class RandomPurpose(IntEnum):
    """Independent random streams by purpose, so that a change of captions never moves an object."""

    SCENE = 0
    CAPTION = 1
    LABEL = 2
    TABLE = 3
    GALLERY = 4
    COMPOSITION = 5


class KeyedRandom:
    """Random number generator seeded by a key of integers, such as (world seed, split, index, purpose)."""

    def __init__(self, *key: int) -> None:
        self._source = np.random.PCG64(np.random.SeedSequence(key))
        self._buffer: list[int] = []

    def bits(self) -> int:
        """Return 64 random bits, an integer in [0, 2**64)."""
        if not self._buffer:
            self._buffer = self._source.random_raw(_BLOCK).tolist()
        return self._buffer.pop()

    def integer(self, count: int) -> int:
        """Return an integer in [0, count)."""
        return (self.bits() * count) >> 64

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a float in [low, high)."""
        return low + (high - low) * ((self.bits() >> 11) * 2.0**-53)

    def bernoulli(self, probability: float) -> bool:
        """Return True with a probability."""
        return self.uniform() < probability

    def choice(self, values: Sequence[T]) -> T:
        """Return one of the values, uniformly."""
        return values[self.integer(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return a random permutation of the values."""
        order = list(values)
        for last in range(len(order) - 1, 0, -1):
            other = self.integer(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def raw(self, count: int) -> npt.NDArray[np.uint64]:
        """Return ``count`` times 64 random bits."""
        return self._source.random_raw(count)

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """Return ``count`` floats in [0, 1)."""
        return (self.raw(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


Floats = npt.NDArray[np.float64]

# Taylor coefficients of sin(2 pi x) / x in x**2: (-1)**n (2 pi)**(2n + 1) / (2n + 1)!
_SINE: Final = (
    6.283185307179586,
    -41.341702240399755,
    81.60524927607504,
    -76.70585975306136,
    42.058693944897634,
    -15.094642576822984,
    3.8199525848482803,
    -0.7181223017785001,
)
# Taylor coefficients of 2**x: ln(2)**n / n!
_POWER: Final = (
    1.0,
    0.6931471805599453,
    0.2402265069591007,
    0.055504108664821576,
    0.009618129107628477,
    0.0013333558146428441,
    0.00015403530393381606,
    1.5252733804059838e-05,
)


def sine(turns: Floats) -> Floats:
    """Return the sine of an angle in turns (1 is a full circle), to about 1e-8."""
    x = turns - np.floor(turns + 0.5)
    x = np.where(x > 0.25, 0.5 - x, np.where(x < -0.25, -0.5 - x, x))
    square = x * x
    total = np.full_like(x, _SINE[-1])
    for coefficient in _SINE[-2::-1]:
        total = total * square + coefficient
    return total * x


def cosine(turns: Floats) -> Floats:
    """Return the cosine of an angle in turns."""
    return sine(turns + 0.25)


def direction(turns: float) -> tuple[float, float]:
    """Return (cosine, sine) of one angle in turns."""
    pair = sine(np.array([turns + 0.25, turns]))
    return float(pair[0]), float(pair[1])


def power2(exponent: Floats) -> Floats:
    """Return 2 ** exponent, to about 1e-6 relative."""
    whole = np.floor(exponent)
    x = exponent - whole
    total = np.full_like(x, _POWER[-1])
    for coefficient in _POWER[-2::-1]:
        total = total * x + coefficient
    return np.ldexp(total, whole.astype(np.int32))


def halving(time: Floats, half_life: float) -> Floats:
    """Return an exponential decay with a half-life."""
    return power2(time * (-1.0 / half_life))


def ramp(value: Floats, low: float, high: float) -> Floats:
    """Return smoothstep: 0 up to ``low``, 1 from ``high``, a cubic between."""
    x = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def value_noise(height: int, width: int, rows: int, columns: int, rng: KeyedRandom) -> Floats:
    """Return value noise (height, width) in [0, 1]: a random lattice of rows x columns, interpolated."""
    lattice = rng.uniforms((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)
    top, down = _cells(height, rows)
    left, across = _cells(width, columns)
    down = down[:, None]
    edge = lattice[top] * (1.0 - down) + lattice[top + 1] * down
    return edge[:, left] * (1.0 - across) + edge[:, left + 1] * across


def _cells(count: int, cells: int) -> tuple[npt.NDArray[np.int64], Floats]:
    position = (np.arange(count) + 0.5) * (cells / count)
    whole = np.floor(position)
    return whole.astype(np.int64), ramp(position - whole, 0.0, 1.0)


def layered_noise(height: int, width: int, rows: int, columns: int, layers: int, rng: KeyedRandom) -> Floats:
    """Return fractal noise (height, width) in [0, 1]: value noise of several octaves."""
    total = np.zeros((height, width))
    weight, norm = 1.0, 0.0
    for layer in range(layers):
        total = total + value_noise(height, width, rows << layer, columns << layer, rng) * weight
        norm += weight
        weight *= 0.5
    return total * (1.0 / norm)
