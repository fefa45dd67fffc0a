"""When an object sounds: the onsets of its notes in a clip."""

import math
from typing import Final

from onepeace_pl.data.triworld.scene import Scene, SceneObject

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
    """Return the times of an object's notes from its own first note, in seconds.

    Longer clips are slower, up to twice the pace at four seconds.
    """
    slower = thing.pace * math.sqrt(min(seconds, 4.0))
    times = [0.0]
    for gap in _GAPS[thing.rhythm]:
        times.append(times[-1] + gap * slower)
    return times


def starts(scene: Scene, seconds: float) -> list[float]:
    """Return the time at which every object begins, in seconds: strictly in the scene's order.

    Each begins at least ``HEAD_START`` (less where four objects share one second) after the one before.
    """
    head_start = (
        HEAD_START * min(1.0, seconds * 2.0 / (len(scene.objects) + 1)) * math.sqrt(min(seconds, 4.0))
    )
    found: list[float] = []
    earliest = 0.0
    for position, thing in enumerate(scene.objects):
        later = (len(scene.objects) - 1 - position) * head_start
        room = seconds - _LAST_NOTE - onsets(thing, seconds)[-1] - earliest
        free = max(min(room, seconds * 0.86 - earliest - later), 0.0)
        # In short clips the free time is shared, so that those who follow have some left.
        begin = earliest + thing.lead * free / (len(scene.objects) - position)
        found.append(begin)
        earliest = begin + head_start
    return found
