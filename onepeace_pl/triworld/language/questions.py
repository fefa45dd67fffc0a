"""Questions about a scene: an answer and three wrong ones each; some need the picture, some the sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.expressions import label_draws, phrase, singled_out
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, PLACES, RHYTHMS, SIZES
from onepeace_pl.triworld.world.layout import relations
from onepeace_pl.triworld.world.scene import Scene

IMAGE: Final = frozenset({"image"})
AUDIO: Final = frozenset({"audio"})
EITHER: Final = frozenset({"image or audio"})
BOTH: Final = frozenset({"image", "audio"})
_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five")


@dataclass(frozen=True, slots=True)
class Question:
    """A question.

    Attributes:
        text: The question.
        answer: The right answer.
        wrong: Three answers of the same sort that are wrong.
        topic: count, colour, place, existence, comparison, background, rhythm or order.
        needs: What it takes: {image}, {audio}, {image, audio}, or {image or audio} where one will do.
    """

    text: str
    answer: str
    wrong: tuple[str, str, str]
    topic: str
    needs: frozenset[str]


def _plural(kind: str) -> str:
    return words.NOUNS[kind][0][1]


def _one(kind: str) -> str:
    noun = words.NOUNS[kind][0][0]
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _wrong(
    answer: str, values: tuple[str, ...], draws: Draws, present: tuple[str, ...] = ()
) -> tuple[str, str, str]:
    """Return three wrong values; those that are present in the scene, and so the hardest, come first."""
    others = draws.shuffled([value for value in values if value != answer])
    first, second, third = sorted(others, key=lambda value: value not in present)[:3]
    return first, second, third


def _how(rhythm: str) -> str:
    return words.RHYTHMS[rhythm][0]


_HOW: Final = tuple(_how(rhythm) for rhythm in RHYTHMS)
_YES_NO: Final = ("yes", "no", "only half", "can't be told")


def _counts(scene: Scene, draws: Draws) -> Iterator[Question]:
    numbers = _NUMBERS[: 5 + 1]
    total = _NUMBERS[len(scene.objects)]
    yield Question("how many objects are there?", total, _wrong(total, numbers[1:], draws), "count", EITHER)
    kind = draws.choice((*scene.kinds, draws.choice(KINDS)))
    answer = _NUMBERS[sum(thing.kind == kind for thing in scene.objects)]
    yield Question(
        f"how many {_plural(kind)} are there?", answer, _wrong(answer, numbers, draws), "count", EITHER
    )


def _existence(scene: Scene, draws: Draws) -> Iterator[Question]:
    absent = draws.choice([kind for kind in KINDS if kind not in scene.kinds])
    for kind, answer in ((draws.choice(scene.kinds), "yes"), (absent, "no")):
        wrong = _wrong(answer, _YES_NO, draws)
        yield Question(f"is there {_one(kind)}?", answer, wrong, "existence", EITHER)
    thing = draws.choice(scene.objects)
    other = draws.choice([colour for colour in COLOURS if colour != thing.colour])
    colour = draws.choice((thing.colour, other))
    answer = "yes" if any(o.kind == thing.kind and o.colour == colour for o in scene.objects) else "no"
    noun = words.NOUNS[thing.kind][0][0]
    article = "an" if colour[0] in "aeiou" else "a"
    wrong = _wrong(answer, _YES_NO, draws)
    yield Question(f"is there {article} {colour} {noun}?", answer, wrong, "existence", IMAGE)


def _looks(scene: Scene, draws: Draws) -> Iterator[Question]:
    colours = tuple(thing.colour for thing in scene.objects)
    places = tuple(thing.place for thing in scene.objects)
    for number, thing in enumerate(scene.objects):
        if singled_out(scene, number, ("kind",)):
            named = phrase(thing, ("kind",), draws)
            yield Question(
                f"what colour is {named}?",
                thing.colour,
                _wrong(thing.colour, COLOURS, draws, colours),
                "colour",
                IMAGE,
            )
            yield Question(
                f"where is {named}?", thing.place, _wrong(thing.place, PLACES, draws, places), "place", IMAGE
            )
        if singled_out(scene, number, ("colour",)):
            wrong = _wrong(thing.kind, KINDS, draws, scene.kinds)
            yield Question(f"what is {thing.colour}?", thing.kind, wrong, "colour", IMAGE)
    background = scene.background
    wrong = _wrong(background, BACKGROUNDS, draws)
    yield Question("what is in the background?", background, wrong, "background", IMAGE)


def _comparisons(scene: Scene, draws: Draws) -> Iterator[Question]:
    pairs = [
        (a, b)
        for a in range(len(scene.objects))
        for b in range(len(scene.objects))
        if a != b and all(singled_out(scene, number, ("kind",)) for number in (a, b))
    ]
    if not pairs:
        return
    a, b = draws.choice(pairs)
    first, second = scene.objects[a], scene.objects[b]
    names = (first.kind, second.kind)
    others = tuple(kind for kind in KINDS if kind not in names)
    if first.size != second.size and draws.chance(0.6):
        larger, smaller = (first, second) if first.size == "large" else (second, first)
        second_wrong, third_wrong = draws.shuffled(others)[:2]
        wrong = (smaller.kind, second_wrong, third_wrong)
        text = f"which is larger, the {first.kind} or the {second.kind}?"
        yield Question(text, larger.kind, wrong, "comparison", EITHER)
    else:
        answer = "yes" if first.size == second.size else "no"
        text = f"are the {first.kind} and the {second.kind} of the same size?"
        yield Question(text, answer, _wrong(answer, _YES_NO, draws), "comparison", EITHER)
    true = draws.choice(relations(PLACES.index(first.place), PLACES.index(second.place)))
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}[true]
    asked = draws.choice((true, opposite))
    answer = "yes" if asked == true else "no"
    text = f"is the {first.kind} {words.RELATIONS[asked][1]} the {second.kind}?"
    yield Question(text, answer, _wrong(answer, _YES_NO, draws), "place", IMAGE)


def _sounds(scene: Scene, draws: Draws) -> Iterator[Question]:
    for number, thing in enumerate(scene.objects):
        answer = _how(thing.rhythm)
        wrong = _wrong(answer, _HOW, draws)
        if singled_out(scene, number, ("kind",)):
            yield Question(f"how does the {thing.kind} sound?", answer, wrong, "rhythm", AUDIO)
        elif singled_out(scene, number, ("kind", "size")):
            yield Question(f"how does the {thing.size} {thing.kind} sound?", answer, wrong, "rhythm", AUDIO)
        if singled_out(scene, number, ("rhythm",)):
            wrong = _wrong(thing.kind, KINDS, draws, scene.kinds)
            yield Question(f"what sounds {answer}?", thing.kind, wrong, "rhythm", AUDIO)
    if len(scene.kinds) > 1:
        for which, thing in (("first", scene.objects[0]), ("last", scene.objects[-1])):
            wrong = _wrong(thing.kind, KINDS, draws, scene.kinds)
            yield Question(f"what begins to sound {which}?", thing.kind, wrong, "order", AUDIO)


def _links(scene: Scene, draws: Draws) -> Iterator[Question]:
    """Yield questions that name an object by one sense and ask for what the other tells."""
    if len(scene.kinds) < len(scene.objects) or len(scene.objects) < 2:
        return  # the sound must tell which object is meant
    colours = tuple(thing.colour for thing in scene.objects)
    places = tuple(thing.place for thing in scene.objects)
    first = scene.objects[0]
    wrong = _wrong(first.colour, COLOURS, draws, colours)
    yield Question("what colour is the object that sounds first?", first.colour, wrong, "order", BOTH)
    for number, thing in enumerate(scene.objects):
        if singled_out(scene, number, ("rhythm",)):
            text = f"where is the object that sounds {_how(thing.rhythm)}?"
            yield Question(text, thing.place, _wrong(thing.place, PLACES, draws, places), "rhythm", BOTH)
        if singled_out(scene, number, ("colour",)):
            answer = _how(thing.rhythm)
            text = f"how does the {thing.colour} object sound?"
            yield Question(text, answer, _wrong(answer, _HOW, draws), "rhythm", BOTH)


_TOPICS: Final[tuple[Callable[[Scene, Draws], Iterator[Question]], ...]] = (
    _counts,
    _existence,
    _looks,
    _comparisons,
    _sounds,
    _links,
)


def questions_about(scene: Scene) -> list[Question]:
    """Return all questions about a scene; the same ones each time."""
    draws = label_draws(scene, 1)
    return [question for topic in _TOPICS for question in topic(scene, draws)]


def answers() -> tuple[str, ...]:
    """Return every answer that a question may have, right or wrong, in a fixed order."""
    return tuple(dict.fromkeys((*_YES_NO, *_NUMBERS, *COLOURS, *PLACES, *KINDS, *BACKGROUNDS, *SIZES, *_HOW)))
