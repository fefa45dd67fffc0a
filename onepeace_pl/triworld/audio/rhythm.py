"""When an object sounds: the onsets of its notes in a clip."""

import math
from typing import Final

from onepeace_pl.triworld.world.scene import Scene, SceneObject

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

    Each begins at least ``HEAD_START`` after the one before (less where many objects share a short clip), and
    early enough for all of its notes to be heard.
    """
    slower = math.sqrt(min(seconds, 4.0))
    latest = [seconds - _LAST_NOTE * slower - onsets(thing, seconds)[-1] for thing in scene.objects]
    head_start = min(
        [HEAD_START * slower, *(limit / number for number, limit in enumerate(latest) if number > 0)]
    )
    for position in range(len(latest) - 2, -1, -1):
        latest[position] = min(latest[position], latest[position + 1] - head_start)
    found: list[float] = []
    earliest = 0.0
    for position, (thing, limit) in enumerate(zip(scene.objects, latest, strict=True)):
        # The free time is shared with those who follow.
        begin = earliest + thing.lead * max(limit - earliest, 0.0) / (len(latest) - position)
        found.append(begin)
        earliest = begin + head_start
    return found
