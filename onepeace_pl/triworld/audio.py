"""Audio synthesis: notes with the timbre of an object's kind, in its rhythm, mixed over background noise.

In timbres, ``t`` is time in seconds and ``pitch`` the factor of the register and variant (1 for a large object,
about 1.7 for a small one). Notes are made once and kept; a waveform is a few of them added together.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.world.factors import KINDS, SIZES
from onepeace_pl.triworld.world.numerics import Floats, KeyedRandom, RandomPurpose, halving, ramp, sine
from onepeace_pl.triworld.world.scene import Scene, SceneObject
from onepeace_pl.triworld.world.world import VARIANTS

# Gaps between notes in seconds, for clips of one second.
_GAPS: Final[dict[str, tuple[float, ...]]] = {
    "once": (),
    "twice": (0.26,),
    "thrice": (0.22, 0.22),
    "steady": (0.11,) * 5,
    "speeding up": (0.2, 0.15, 0.11, 0.08, 0.058),
}
HEAD_START: Final = 0.12
_LAST_NOTE: Final = 0.16


def onsets(thing: SceneObject, seconds: float) -> list[float]:
    """Return onset times of an object's notes after its first one, in seconds.

    Longer clips are slower, up to twice the pace at four seconds.
    """
    slower = thing.pace * math.sqrt(min(seconds, 4.0))
    times = [0.0]
    for gap in _GAPS[thing.rhythm]:
        times.append(times[-1] + gap * slower)
    return times


def starts(scene: Scene, seconds: float) -> list[float]:
    """Return the onset time of every object's first note, in seconds: strictly in the scene's order.

    Each is at least ``HEAD_START`` after the one before (less where many objects share a short clip), and
    early enough for all of its notes.
    """
    slower = math.sqrt(min(seconds, 4.0))
    latest = [seconds - _LAST_NOTE * slower - onsets(thing, seconds)[-1] for thing in scene.objects]
    head_start = min(
        [HEAD_START * slower, *(limit / number for number, limit in enumerate(latest) if number > 0)]
    )
    for position in range(len(latest) - 2, -1, -1):
        latest[position] = min(latest[position], latest[position + 1] - head_start)
    begins: list[float] = []
    earliest = 0.0
    for position, (thing, limit) in enumerate(zip(scene.objects, latest, strict=True)):
        # The free time is shared with those who follow.
        begin = earliest + thing.lead * max(limit - earliest, 0.0) / (len(latest) - position)
        begins.append(begin)
        earliest = begin + head_start
    return begins


RATE: Final = 16000
LONGEST: Final = 0.32
_LOUDNESS: Final = 0.16
_REGISTER: Final = {"large": 1.0, "small": 1.7}


def _noise(t: Floats, rng: KeyedRandom) -> Floats:
    return rng.uniforms(t.size) * 2.0 - 1.0


def _bright(noise: Floats) -> Floats:
    """Return high-pass filtered noise."""
    edge = noise.copy()
    edge[1:] -= noise[:-1]
    return edge * 0.7


def _harmonics(phase: Floats, levels: list[float]) -> Floats:
    """Return additive synthesis: a sum of harmonics of a phase in turns."""
    total = np.zeros_like(phase)
    for number, level in enumerate(levels, start=1):
        if level:
            total += level * sine(phase * number)
    return total


def _bell(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    partials = ((1.0, 1.0, 0.30), (2.0, 0.7, 0.2), (2.76, 0.6, 0.14), (5.4, 0.4, 0.07), (8.9, 0.25, 0.03))
    total = np.zeros_like(t)
    for ratio, level, half_life in partials:
        if ratio * 480.0 * pitch < RATE / 2:
            total += level * sine(t * (480.0 * pitch * ratio)) * halving(t, half_life * 0.6)
    return total


def _drum(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    # The pitch falls from 2.6 to 1 times 85 Hz; its integral is the phase.
    fall = 0.035
    phase = 85.0 * pitch * (t + 1.6 * fall * 1.4427 * (1.0 - halving(t, fall)))
    skin = _noise(t, rng) * halving(t, 0.008) * 0.7
    return sine(phase) * halving(t, 0.055) * 1.4 + skin


def _bird(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    # Two chirps that sweep upwards; frequency 1700 + 11000 x within each of 90 ms.
    local = t - 0.1 * np.floor(t * 10.0)
    phase = pitch * (1700.0 * local + 5500.0 * local * local)
    envelope = ramp(local, 0.0, 0.012) * (1.0 - ramp(local, 0.06, 0.09)) * (t < 0.2)
    return sine(phase) * envelope


def _horn(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    phase = 165.0 * pitch * t
    swell = ramp(t, 0.0, 0.06)
    low = _harmonics(phase, [0.5, 0.7, 0.8, 0.6])
    high = _harmonics(phase, [0.0, 0.0, 0.0, 0.0, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    return (low + high * swell) * ramp(t, 0.0, 0.03)


def _clock(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    late = np.maximum(t - 0.07, 0.0)
    tick = sine(t * (1500.0 * pitch)) * halving(t, 0.004)
    tock = sine(late * (900.0 * pitch)) * halving(late, 0.005) * (t >= 0.07)
    snap = _bright(_noise(t, rng)) * halving(t, 0.0015)
    return tick + tock + 0.8 * snap


def _bee(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    wobble = 0.05 * sine(t * 9.0)
    phase = 120.0 * pitch * t + wobble * 4.0
    flutter = 0.7 + 0.3 * sine(t * 31.0)
    return _harmonics(phase, [1.0 / h for h in range(1, 19)]) * flutter * ramp(t, 0.0, 0.025)


def _frog(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    rate = 34.0
    pulse = t - np.floor(t * rate) * (1.0 / rate)
    grain = sine(pulse * (420.0 * pitch)) + 0.7 * sine(pulse * (980.0 * pitch))
    return grain * halving(pulse, 0.006) * ramp(t, 0.0, 0.03)


def _kettle(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    phase = pitch * (1250.0 * t + 300.0 * t * t) + 0.25 * sine(t * 24.0)
    steam = _bright(_noise(t, rng)) * 0.35
    return (sine(phase) + 0.25 * sine(phase * 2.0) + steam) * ramp(t, 0.0, 0.05)


def _guitar(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    total = np.zeros_like(t)
    for number in range(1, 13):
        comb = (1.0, 0.95, 0.8, 0.5, 0.2, 0.35)[number % 6]
        total += comb / number * sine(t * (196.0 * pitch * number)) * halving(t, 0.22 / (number + 0.5))
    return total


def _cat(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    # Rises for 90 ms, then falls: 360 -> 560 -> 330 Hz.
    rise = np.minimum(t, 0.09)
    fall = np.maximum(t - 0.09, 0.0)
    phase = pitch * (360.0 * rise + 1111.0 * rise * rise + 560.0 * fall - 550.0 * fall * fall)
    mouth = ramp(t, 0.02, 0.12) * (1.0 - ramp(t, 0.16, 0.3))
    closed = _harmonics(phase, [1.0, 0.35, 0.1])
    opened = _harmonics(phase, [0.3, 0.6, 1.0, 0.8, 0.5, 0.2])
    return (closed * (1.0 - mouth) + opened * mouth) * ramp(t, 0.0, 0.03)


def _phone(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    gate = np.floor(t * 40.0)
    high = gate - 2.0 * np.floor(gate * 0.5)
    first, second = sine(t * (880.0 * pitch)), sine(t * (1175.0 * pitch))
    third = 0.3 * sine(t * (3520.0 / 1.7 * pitch))
    strike = halving(t - gate / 40.0, 0.02)
    return (first * (1.0 - high) + second * high + third) * strike


def _rattle(t: Floats, pitch: float, rng: KeyedRandom) -> Floats:
    beads = t - np.floor(t * 28.0) / 28.0
    noise = _noise(t, rng)
    if pitch > 1.3:
        noise = _bright(_bright(noise))
    else:
        noise[1:] += 0.6 * noise[:-1]
    return noise * halving(beads, 0.007) * (t < 0.14)


_VOICES: Final[dict[str, Callable[[Floats, float, KeyedRandom], Floats]]] = {
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
    """Return one note of ``LONGEST`` seconds at 16 kHz; loudness is normalised."""
    t = np.arange(int(LONGEST * RATE), dtype=np.float64) * (1.0 / RATE)
    pitch = _REGISTER[size] * (0.94 + 0.12 * variant / (VARIANTS - 1))
    rng = KeyedRandom(KINDS.index(kind), SIZES.index(size), variant, RandomPurpose.TABLE)
    wave = _VOICES[kind](t, pitch, rng) * (1.0 - ramp(t, LONGEST - 0.04, LONGEST))
    # RMS of the loudest window; fsum is exact, so the level is the same on every machine.
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
    """Return pink background noise (8 s and a little more)."""
    length = 1 << 17
    rng = KeyedRandom(len(KINDS), RandomPurpose.TABLE)
    total = np.zeros(length)
    for octave in range(6):
        total += np.repeat(rng.uniforms(length >> octave), 1 << octave) - 0.5
    return (total * 0.8).astype(np.float32)


SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 10.0
_FADE: Final = 160
_RELEASE: Final = np.linspace(1.0, 0.0, _FADE, dtype=np.float32)


def check_seconds(seconds: float) -> None:
    """Raise UserError for durations that rhythms do not fit in, or that are needlessly long."""
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise UserError(
            f"seconds={seconds}: TriWorld's audio lasts {SHORTEST_SECONDS} to {LONGEST_SECONDS} s"
        )


def synthesise(scene: Scene, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    """Return the waveform of a scene.

    Args:
        scene: The scene.
        seconds: Duration, 1 to 10.

    Returns:
        Mono at 16 kHz in [-1, 1], (seconds * 16000,). Every value is an integer multiple of 1/32768, so that a
        16-bit file is lossless.

    Raises:
        UserError: ``seconds`` is outside of 1..10.
    """
    check_seconds(seconds)
    length = round(seconds * RATE)
    noise = hiss()
    start = int(scene.hiss_start * noise.size)
    wave = np.take(noise, np.arange(start, start + length), mode="wrap") * np.float32(scene.hiss)
    for thing, begin in zip(scene.objects, starts(scene, seconds), strict=True):
        voice = note(thing.kind, thing.size, thing.variant) * np.float32(thing.gain)
        times = onsets(thing, seconds)
        for position, offset in enumerate(times):
            first = int((begin + offset) * RATE)
            room = length - first
            if position + 1 < len(times):
                # A note ends before the next begins, or sustained voices would blur the rhythm.
                room = min(room, int((times[position + 1] - offset) * RATE * 0.78))
            if room <= _FADE:
                continue
            if room < voice.size:
                wave[first : first + room - _FADE] += voice[: room - _FADE]
                wave[first + room - _FADE : first + room] += voice[room - _FADE : room] * _RELEASE
            else:
                wave[first : first + voice.size] += voice
    whole = np.floor(wave * np.float32(32768) + np.float32(0.5))
    result: npt.NDArray[np.float32] = np.minimum(
        np.maximum(whole, np.float32(-32768)), np.float32(32767)
    ) * np.float32(1 / 32768)
    return result
