"""Statements about two pictures, true or false, as visual-reasoning tasks need them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.expressions import label_draws
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS
from onepeace_pl.triworld.world.scene import Scene

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_TRIES: Final = 48
_BALANCED: Final = 1 << 20  # label draws below are those of other statements


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about a left and a right picture.

    Attributes:
        text: The statement.
        truth: Whether it holds.
        topic: count, kind, colour, background or size; empty where nobody asks.
    """

    text: str
    truth: bool
    topic: str = ""


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _more(left: Scene, right: Scene, draws: Draws) -> Statement:
    first, second = draws.choice((("left", "right"), ("right", "left")))
    here, there = (left, right) if first == "left" else (right, left)
    text = f"the {first} picture shows more objects than the {second} picture"
    return Statement(text, len(here.objects) > len(there.objects))


def _as_many(left: Scene, right: Scene, draws: Draws) -> Statement:
    return Statement("both pictures show the same number of objects", len(left.objects) == len(right.objects))


def _both_show(left: Scene, right: Scene, draws: Draws) -> Statement:
    kind = draws.choice((*left.kinds, *right.kinds))
    return Statement(f"there is {_a(kind)} in both pictures", kind in left.kinds and kind in right.kinds)


def _only_one_shows(left: Scene, right: Scene, draws: Draws) -> Statement:
    kind = draws.choice((*left.kinds, *right.kinds, draws.choice(KINDS)))
    truth = (kind in left.kinds) != (kind in right.kinds)
    return Statement(f"there is {_a(kind)} in just one of the pictures", truth)


def _total(left: Scene, right: Scene, draws: Draws) -> Statement:
    total = len(left.objects) + len(right.objects)
    said = min(max(total + draws.choice((0, 0, 1, -1)), 2), 8)
    return Statement(f"there are {_NUMBERS[said]} objects in the two pictures together", said == total)


def _one_shows_colour(left: Scene, right: Scene, draws: Draws) -> Statement:
    side = draws.choice(("left", "right"))
    scene = left if side == "left" else right
    thing = draws.choice((*left.objects, *right.objects))
    colour = draws.choice((thing.colour, draws.choice(COLOURS)))
    truth = any(other.kind == thing.kind and other.colour == colour for other in scene.objects)
    return Statement(f"the {side} picture shows {_a(colour)} {thing.kind}", truth)


def _background(left: Scene, right: Scene, draws: Draws) -> Statement:
    background = draws.choice((left.background, right.background, draws.choice(BACKGROUNDS)))
    which, test = draws.choice((("both pictures are", all), ("at least one picture is", any)))
    truth = test(scene.background == background for scene in (left, right))
    return Statement(f"{which} {draws.choice(words.BACKGROUNDS[background])}", truth)


def _larger(left: Scene, right: Scene, draws: Draws) -> Statement:
    shared = [kind for kind in left.kinds if kind in right.kinds]
    kind = draws.choice(shared or left.kinds)
    here = any(thing.kind == kind and thing.size == "large" for thing in left.objects)
    there = any(thing.kind == kind and thing.size == "large" for thing in right.objects)
    side, truth = draws.choice((("left", here), ("right", there)))
    return Statement(f"the {side} picture shows a large {kind}", truth)


_Make = Callable[[Scene, Scene, Draws], Statement]
_TOPICS: Final[dict[_Make, str]] = {
    _more: "count",
    _as_many: "count",
    _both_show: "kind",
    _only_one_shows: "kind",
    _total: "count",
    _one_shows_colour: "colour",
    _background: "background",
    _larger: "size",
}
_KINDS_OF_STATEMENT: Final = tuple(_TOPICS)


def statement(left: Scene, right: Scene, number: int = 0) -> Statement:
    """Return a statement about two scenes that is true one time in two.

    Args:
        left: The scene of the left picture.
        right: The scene of the right picture.
        number: Other numbers give other statements about the same pictures.
    """
    draws = label_draws(left, 2 + number)
    truth = draws.chance(0.5)
    for _ in range(_TRIES):
        made = draws.choice(_KINDS_OF_STATEMENT)(left, right, draws)
        if made.truth == truth:
            break
    return made


def balanced_statement(left: Scene, rights: Sequence[Scene], number: int = 0) -> tuple[int, Statement]:
    """Return a statement whose sort says nothing of its truth, and which of the right pictures it is about.

    The sort of statement and its truth are drawn first, and then a right picture is looked for that suits them. Numbers
    of objects are spoken of only where they differ between the scenes.

    Args:
        left: The scene of the left picture.
        rights: Scenes to choose the right picture from.
        number: Other numbers give other statements.
    """
    draws = label_draws(left, _BALANCED + number)
    counts = {len(scene.objects) for scene in (left, *rights)}
    sorts = [make for make in _KINDS_OF_STATEMENT if len(counts) > 1 or _TOPICS[make] != "count"]
    make, truth = draws.choice(sorts), draws.chance(0.5)
    topic = _TOPICS[make]
    for attempt in range(_TRIES):
        right = attempt % len(rights)
        made = make(left, rights[right], draws)
        if made.truth == truth:
            break
    return right, replace(made, topic=topic)
