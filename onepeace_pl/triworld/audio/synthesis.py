"""The sound of a scene: notes in their rhythms, overlapping, over background noise."""

from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.audio.rhythm import onsets, starts
from onepeace_pl.triworld.audio.timbres import RATE, hiss, note
from onepeace_pl.triworld.world.scene import Scene

SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 10.0
_FADE: Final = 160
_RELEASE: Final = np.linspace(1.0, 0.0, _FADE, dtype=np.float32)


def check_seconds(seconds: float) -> None:
    """Raise ValueError where rhythms would not fit, or a clip is needlessly long."""
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ValueError(
            f"seconds={seconds}: TriWorld's sounds last {SHORTEST_SECONDS} to {LONGEST_SECONDS} s"
        )


def synthesise(scene: Scene, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    """Return the sound of a scene.

    Args:
        scene: What sounds.
        seconds: Length of the clip, 1 to 10.

    Returns:
        Mono at 16 kHz in [-1, 1], (seconds * 16000,). Every value is a whole number of 1/32768, so that a
        16-bit file holds exactly these numbers.

    Raises:
        ValueError: ``seconds`` is outside of 1..10.
    """
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ValueError(
            f"seconds={seconds}: TriWorld's sounds last {SHORTEST_SECONDS} to {LONGEST_SECONDS} s"
        )
    length = round(seconds * RATE)
    tape = hiss()
    start = int(scene.hiss_start * tape.size)
    wave = np.take(tape, np.arange(start, start + length), mode="wrap") * np.float32(scene.hiss)
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
