"""The voice of every kind: one short note each, in two pitch registers and a few variants.

Notes are made once and kept; a sound is a few of them added together. ``t`` is time in seconds, ``pitch`` the
factor of the register and variant (1 for a large object, about 1.7 for a small one).
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.world.draws import Draws, Stream
from onepeace_pl.triworld.world.factors import KINDS, SIZES
from onepeace_pl.triworld.world.pinned import Floats, halving, ramp, sine
from onepeace_pl.triworld.world.world import VARIANTS

RATE: Final = 16000
LONGEST: Final = 0.32
_LOUDNESS: Final = 0.16
_REGISTER: Final = {"large": 1.0, "small": 1.7}


def _noise(t: Floats, draws: Draws) -> Floats:
    return draws.uniforms(t.size) * 2.0 - 1.0


def _bright(noise: Floats) -> Floats:
    """Return the noise with its low frequencies removed."""
    edge = noise.copy()
    edge[1:] -= noise[:-1]
    return edge * 0.7


def _harmonics(phase: Floats, levels: list[float]) -> Floats:
    """Return a sum of harmonics of a running phase in turns."""
    total = np.zeros_like(phase)
    for number, level in enumerate(levels, start=1):
        if level:
            total += level * sine(phase * number)
    return total


def _bell(t: Floats, pitch: float, draws: Draws) -> Floats:
    partials = ((1.0, 1.0, 0.30), (2.0, 0.7, 0.2), (2.76, 0.6, 0.14), (5.4, 0.4, 0.07), (8.9, 0.25, 0.03))
    total = np.zeros_like(t)
    for ratio, level, half_life in partials:
        if ratio * 480.0 * pitch < RATE / 2:
            total += level * sine(t * (480.0 * pitch * ratio)) * halving(t, half_life * 0.6)
    return total


def _drum(t: Floats, pitch: float, draws: Draws) -> Floats:
    # The pitch falls from 2.6 to 1 times 85 Hz; its integral is the phase.
    fall = 0.035
    phase = 85.0 * pitch * (t + 1.6 * fall * 1.4427 * (1.0 - halving(t, fall)))
    skin = _noise(t, draws) * halving(t, 0.008) * 0.7
    return sine(phase) * halving(t, 0.055) * 1.4 + skin


def _bird(t: Floats, pitch: float, draws: Draws) -> Floats:
    # Two chirps that sweep upwards; frequency 1700 + 11000 x within each of 90 ms.
    local = t - 0.1 * np.floor(t * 10.0)
    phase = pitch * (1700.0 * local + 5500.0 * local * local)
    envelope = ramp(local, 0.0, 0.012) * (1.0 - ramp(local, 0.06, 0.09)) * (t < 0.2)
    return sine(phase) * envelope


def _horn(t: Floats, pitch: float, draws: Draws) -> Floats:
    phase = 165.0 * pitch * t
    swell = ramp(t, 0.0, 0.06)
    low = _harmonics(phase, [0.5, 0.7, 0.8, 0.6])
    high = _harmonics(phase, [0.0, 0.0, 0.0, 0.0, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    return (low + high * swell) * ramp(t, 0.0, 0.03)


def _clock(t: Floats, pitch: float, draws: Draws) -> Floats:
    late = np.maximum(t - 0.07, 0.0)
    tick = sine(t * (1500.0 * pitch)) * halving(t, 0.004)
    tock = sine(late * (900.0 * pitch)) * halving(late, 0.005) * (t >= 0.07)
    snap = _bright(_noise(t, draws)) * halving(t, 0.0015)
    return tick + tock + 0.8 * snap


def _bee(t: Floats, pitch: float, draws: Draws) -> Floats:
    wobble = 0.05 * sine(t * 9.0)
    phase = 120.0 * pitch * t + wobble * 4.0
    flutter = 0.7 + 0.3 * sine(t * 31.0)
    return _harmonics(phase, [1.0 / h for h in range(1, 19)]) * flutter * ramp(t, 0.0, 0.025)


def _frog(t: Floats, pitch: float, draws: Draws) -> Floats:
    rate = 34.0
    pulse = t - np.floor(t * rate) * (1.0 / rate)
    grain = sine(pulse * (420.0 * pitch)) + 0.7 * sine(pulse * (980.0 * pitch))
    return grain * halving(pulse, 0.006) * ramp(t, 0.0, 0.03)


def _kettle(t: Floats, pitch: float, draws: Draws) -> Floats:
    phase = pitch * (1250.0 * t + 300.0 * t * t) + 0.25 * sine(t * 24.0)
    steam = _bright(_noise(t, draws)) * 0.35
    return (sine(phase) + 0.25 * sine(phase * 2.0) + steam) * ramp(t, 0.0, 0.05)


def _guitar(t: Floats, pitch: float, draws: Draws) -> Floats:
    total = np.zeros_like(t)
    for number in range(1, 13):
        comb = (1.0, 0.95, 0.8, 0.5, 0.2, 0.35)[number % 6]
        total += comb / number * sine(t * (196.0 * pitch * number)) * halving(t, 0.22 / (number + 0.5))
    return total


def _cat(t: Floats, pitch: float, draws: Draws) -> Floats:
    # Rises for 90 ms, then falls: 360 -> 560 -> 330 Hz.
    rise = np.minimum(t, 0.09)
    fall = np.maximum(t - 0.09, 0.0)
    phase = pitch * (360.0 * rise + 1111.0 * rise * rise + 560.0 * fall - 550.0 * fall * fall)
    mouth = ramp(t, 0.02, 0.12) * (1.0 - ramp(t, 0.16, 0.3))
    closed = _harmonics(phase, [1.0, 0.35, 0.1])
    opened = _harmonics(phase, [0.3, 0.6, 1.0, 0.8, 0.5, 0.2])
    return (closed * (1.0 - mouth) + opened * mouth) * ramp(t, 0.0, 0.03)


def _phone(t: Floats, pitch: float, draws: Draws) -> Floats:
    gate = np.floor(t * 40.0)
    high = gate - 2.0 * np.floor(gate * 0.5)
    first, second = sine(t * (880.0 * pitch)), sine(t * (1175.0 * pitch))
    third = 0.3 * sine(t * (3520.0 / 1.7 * pitch))
    strike = halving(t - gate / 40.0, 0.02)
    return (first * (1.0 - high) + second * high + third) * strike


def _rattle(t: Floats, pitch: float, draws: Draws) -> Floats:
    beads = t - np.floor(t * 28.0) / 28.0
    noise = _noise(t, draws)
    if pitch > 1.3:
        noise = _bright(_bright(noise))
    else:
        noise[1:] += 0.6 * noise[:-1]
    return noise * halving(beads, 0.007) * (t < 0.14)


_VOICES: Final[dict[str, Callable[[Floats, float, Draws], Floats]]] = {
    "bell": _bell,
    "drum": _drum,
    "bird": _bird,
    "horn": _horn,
    "clock": _clock,
    "bee": _bee,
    "frog": _frog,
    "kettle": _kettle,
    "guitar": _guitar,
    "cat": _cat,
    "phone": _phone,
    "rattle": _rattle,
}


@cache
def note(kind: str, size: str, variant: int) -> npt.NDArray[np.float32]:
    """Return one note of at most ``LONGEST`` seconds at 16 kHz; all kinds are about equally loud."""
    t = np.arange(int(LONGEST * RATE), dtype=np.float64) * (1.0 / RATE)
    pitch = _REGISTER[size] * (0.94 + 0.12 * variant / (VARIANTS - 1))
    draws = Draws(KINDS.index(kind), SIZES.index(size), variant, Stream.TABLE)
    wave = _VOICES[kind](t, pitch, draws) * (1.0 - ramp(t, LONGEST - 0.04, LONGEST))
    # Loudness over the loudest stretch; fsum is exact, so the level is the same on every machine.
    window = 800
    power = max(
        math.fsum(float(x) for x in wave[at : at + window] ** 2) / window
        for at in range(0, t.size - window, window)
    )
    peak = float(np.max(np.abs(wave)))
    level = min(_LOUDNESS / math.sqrt(power), 0.6 / peak)
    return (wave * level).astype(np.float32)


@cache
def hiss() -> npt.NDArray[np.float32]:
    """Return a tape of background noise (8 s and a little more), falling towards high frequencies."""
    length = 1 << 17
    draws = Draws(len(KINDS), Stream.TABLE)
    total = np.zeros(length)
    for octave in range(6):
        total += np.repeat(draws.uniforms(length >> octave), 1 << octave) - 0.5
    return (total * 0.8).astype(np.float32)
