"""Sine, power and noise whose last bit is the same on every machine.

The transcendental functions of numpy differ between processors and builds. Here they are made of additions,
multiplications and roundings, each its own array operation, which IEEE 754 defines to the last bit.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.world.draws import Draws

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
    """Return a decay that halves every ``half_life``."""
    return power2(time * (-1.0 / half_life))


def ramp(value: Floats, low: float, high: float) -> Floats:
    """Return a smooth step from 0 at ``low`` to 1 at ``high``."""
    x = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def value_noise(height: int, width: int, rows: int, columns: int, draws: Draws) -> Floats:
    """Return (height, width) smooth noise in [0, 1]: a random lattice of rows x columns, interpolated."""
    lattice = draws.uniforms((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)
    top, down = _cells(height, rows)
    left, across = _cells(width, columns)
    down = down[:, None]
    edge = lattice[top] * (1.0 - down) + lattice[top + 1] * down
    return edge[:, left] * (1.0 - across) + edge[:, left + 1] * across


def _cells(count: int, cells: int) -> tuple[npt.NDArray[np.int64], Floats]:
    position = (np.arange(count) + 0.5) * (cells / count)
    whole = np.floor(position)
    return whole.astype(np.int64), ramp(position - whole, 0.0, 1.0)


def layered_noise(height: int, width: int, rows: int, columns: int, layers: int, draws: Draws) -> Floats:
    """Return (height, width) noise in [0, 1] with finer and fainter layers added."""
    total = np.zeros((height, width))
    weight, norm = 1.0, 0.0
    for layer in range(layers):
        total = total + value_noise(height, width, rows << layer, columns << layer, draws) * weight
        norm += weight
        weight *= 0.5
    return total * (1.0 / norm)
