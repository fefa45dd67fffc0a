"""Visual and audio question answering: multiple-choice questions about a scene, statements about two images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.expressions import is_unique, label_rng, phrase
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, PLACES, RHYTHMS, SIZES, relations
from onepeace_pl.triworld.world.numerics import KeyedRandom
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
        answer: The correct answer.
        distractors: Three wrong answers of the same type.
        question_type: count, colour, place, existence, comparison, background, rhythm or order.
        needs: Required modalities: {image}, {audio}, {image, audio}, or {image or audio} where either suffices.
    """

    text: str
    answer: str
    distractors: tuple[str, str, str]
    question_type: str
    needs: frozenset[str]


def _plural(kind: str) -> str:
    return words.NOUNS[kind][0][1]


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _distractors(
    answer: str, values: tuple[str, ...], rng: KeyedRandom, present: tuple[str, ...] = ()
) -> tuple[str, str, str]:
    """Return three distractors; values that are present in the scene, and so the hardest, come first."""
    others = rng.shuffled([value for value in values if value != answer])
    first, second, third = sorted(others, key=lambda value: value not in present)[:3]
    return first, second, third


def _how(rhythm: str) -> str:
    return words.RHYTHMS[rhythm][0]


_HOW: Final = tuple(_how(rhythm) for rhythm in RHYTHMS)
_YES_NO: Final = ("yes", "no", "only half", "can't be told")


def _counts(scene: Scene, rng: KeyedRandom) -> Iterator[Question]:
    numbers = _NUMBERS[: 5 + 1]
    total = _NUMBERS[len(scene.objects)]
    yield Question(
        "how many objects are there?", total, _distractors(total, numbers[1:], rng), "count", EITHER
    )
    kind = rng.choice((*scene.kinds, rng.choice(KINDS)))
    answer = _NUMBERS[sum(thing.kind == kind for thing in scene.objects)]
    yield Question(
        f"how many {_plural(kind)} are there?", answer, _distractors(answer, numbers, rng), "count", EITHER
    )


def _existence(scene: Scene, rng: KeyedRandom) -> Iterator[Question]:
    absent = rng.choice([kind for kind in KINDS if kind not in scene.kinds])
    for kind, answer in ((rng.choice(scene.kinds), "yes"), (absent, "no")):
        wrong = _distractors(answer, _YES_NO, rng)
        yield Question(
            f"is there {_with_article(words.NOUNS[kind][0][0])}?", answer, wrong, "existence", EITHER
        )
    thing = rng.choice(scene.objects)
    other = rng.choice([colour for colour in COLOURS if colour != thing.colour])
    colour = rng.choice((thing.colour, other))
    answer = "yes" if any(o.kind == thing.kind and o.colour == colour for o in scene.objects) else "no"
    noun = words.NOUNS[thing.kind][0][0]
    wrong = _distractors(answer, _YES_NO, rng)
    yield Question(f"is there {_with_article(colour)} {noun}?", answer, wrong, "existence", IMAGE)


def _looks(scene: Scene, rng: KeyedRandom) -> Iterator[Question]:
    colours = tuple(thing.colour for thing in scene.objects)
    places = tuple(thing.place for thing in scene.objects)
    for number, thing in enumerate(scene.objects):
        if is_unique(scene, number, ("kind",)):
            named = phrase(thing, ("kind",), rng)
            yield Question(
                f"what colour is {named}?",
                thing.colour,
                _distractors(thing.colour, COLOURS, rng, colours),
                "colour",
                IMAGE,
            )
            yield Question(
                f"where is {named}?",
                thing.place,
                _distractors(thing.place, PLACES, rng, places),
                "place",
                IMAGE,
            )
        if is_unique(scene, number, ("colour",)):
            wrong = _distractors(thing.kind, KINDS, rng, scene.kinds)
            yield Question(f"what is {thing.colour}?", thing.kind, wrong, "colour", IMAGE)
    background = scene.background
    wrong = _distractors(background, BACKGROUNDS, rng)
    yield Question("what is in the background?", background, wrong, "background", IMAGE)


def _comparisons(scene: Scene, rng: KeyedRandom) -> Iterator[Question]:
    pairs = [
        (a, b)
        for a in range(len(scene.objects))
        for b in range(len(scene.objects))
        if a != b and all(is_unique(scene, number, ("kind",)) for number in (a, b))
    ]
    if not pairs:
        return
    a, b = rng.choice(pairs)
    first, second = scene.objects[a], scene.objects[b]
    names = (first.kind, second.kind)
    others = tuple(kind for kind in KINDS if kind not in names)
    if first.size != second.size and rng.bernoulli(0.6):
        larger, smaller = (first, second) if first.size == "large" else (second, first)
        second_wrong, third_wrong = rng.shuffled(others)[:2]
        wrong = (smaller.kind, second_wrong, third_wrong)
        text = f"which is larger, the {first.kind} or the {second.kind}?"
        yield Question(text, larger.kind, wrong, "comparison", EITHER)
    else:
        answer = "yes" if first.size == second.size else "no"
        text = f"are the {first.kind} and the {second.kind} of the same size?"
        yield Question(text, answer, _distractors(answer, _YES_NO, rng), "comparison", EITHER)
    true = rng.choice(relations(PLACES.index(first.place), PLACES.index(second.place)))
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}[true]
    asked = rng.choice((true, opposite))
    answer = "yes" if asked == true else "no"
    text = f"is the {first.kind} {words.RELATIONS[asked][1]} the {second.kind}?"
    yield Question(text, answer, _distractors(answer, _YES_NO, rng), "place", IMAGE)


def _sounds(scene: Scene, rng: KeyedRandom) -> Iterator[Question]:
    for number, thing in enumerate(scene.objects):
        answer = _how(thing.rhythm)
        wrong = _distractors(answer, _HOW, rng)
        if is_unique(scene, number, ("kind",)):
            yield Question(f"how does the {thing.kind} sound?", answer, wrong, "rhythm", AUDIO)
        elif is_unique(scene, number, ("kind", "size")):
            yield Question(f"how does the {thing.size} {thing.kind} sound?", answer, wrong, "rhythm", AUDIO)
        if is_unique(scene, number, ("rhythm",)):
            wrong = _distractors(thing.kind, KINDS, rng, scene.kinds)
            yield Question(f"what sounds {answer}?", thing.kind, wrong, "rhythm", AUDIO)
    if len(scene.kinds) > 1:
        for which, thing in (("first", scene.objects[0]), ("last", scene.objects[-1])):
            wrong = _distractors(thing.kind, KINDS, rng, scene.kinds)
            yield Question(f"what begins to sound {which}?", thing.kind, wrong, "order", AUDIO)


def _links(scene: Scene, rng: KeyedRandom) -> Iterator[Question]:
    """Yield questions that identify an object by one modality and ask for a factor of the other."""
    if len(scene.kinds) < len(scene.objects) or len(scene.objects) < 2:
        return  # kinds must be unique in the audio
    colours = tuple(thing.colour for thing in scene.objects)
    places = tuple(thing.place for thing in scene.objects)
    first = scene.objects[0]
    wrong = _distractors(first.colour, COLOURS, rng, colours)
    yield Question("what colour is the object that sounds first?", first.colour, wrong, "order", BOTH)
    for number, thing in enumerate(scene.objects):
        if is_unique(scene, number, ("rhythm",)):
            text = f"where is the object that sounds {_how(thing.rhythm)}?"
            yield Question(text, thing.place, _distractors(thing.place, PLACES, rng, places), "rhythm", BOTH)
        if is_unique(scene, number, ("colour",)):
            answer = _how(thing.rhythm)
            text = f"how does the {thing.colour} object sound?"
            yield Question(text, answer, _distractors(answer, _HOW, rng), "rhythm", BOTH)


_QUESTION_TYPES: Final[tuple[Callable[[Scene, KeyedRandom], Iterator[Question]], ...]] = (
    _counts,
    _existence,
    _looks,
    _comparisons,
    _sounds,
    _links,
)


def questions_about(scene: Scene) -> list[Question]:
    """Return all questions about a scene; the same ones each time."""
    rng = label_rng(scene, 1)
    return [question for make in _QUESTION_TYPES for question in make(scene, rng)]


def answers() -> tuple[str, ...]:
    """Return the vocabulary of all answers, correct or not, in a fixed order."""
    return tuple(dict.fromkeys((*_YES_NO, *_NUMBERS, *COLOURS, *PLACES, *KINDS, *BACKGROUNDS, *SIZES, *_HOW)))


_COUNT_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_TRIES: Final = 48
_BALANCED: Final = 1 << 20  # label draws below are those of other statements


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about a left and a right image.

    Attributes:
        text: The statement.
        truth: Whether it holds.
        question_type: count, kind, colour, background or size; empty for statements that are not balanced.
    """

    text: str
    truth: bool
    question_type: str = ""


def _more(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    first, second = rng.choice((("left", "right"), ("right", "left")))
    here, there = (left, right) if first == "left" else (right, left)
    text = f"the {first} picture shows more objects than the {second} picture"
    return Statement(text, len(here.objects) > len(there.objects))


def _as_many(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    return Statement("both pictures show the same number of objects", len(left.objects) == len(right.objects))


def _both_show(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    kind = rng.choice((*left.kinds, *right.kinds))
    return Statement(
        f"there is {_with_article(kind)} in both pictures", kind in left.kinds and kind in right.kinds
    )


def _only_one_shows(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    kind = rng.choice((*left.kinds, *right.kinds, rng.choice(KINDS)))
    truth = (kind in left.kinds) != (kind in right.kinds)
    return Statement(f"there is {_with_article(kind)} in just one of the pictures", truth)


def _total(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    total = len(left.objects) + len(right.objects)
    said = min(max(total + rng.choice((0, 0, 1, -1)), 2), 8)
    return Statement(f"there are {_COUNT_WORDS[said]} objects in the two pictures together", said == total)


def _one_shows_colour(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    side = rng.choice(("left", "right"))
    scene = left if side == "left" else right
    thing = rng.choice((*left.objects, *right.objects))
    colour = rng.choice((thing.colour, rng.choice(COLOURS)))
    truth = any(other.kind == thing.kind and other.colour == colour for other in scene.objects)
    return Statement(f"the {side} picture shows {_with_article(colour)} {thing.kind}", truth)


def _background(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    background = rng.choice((left.background, right.background, rng.choice(BACKGROUNDS)))
    which, test = rng.choice((("both pictures are", all), ("at least one picture is", any)))
    truth = test(scene.background == background for scene in (left, right))
    return Statement(f"{which} {rng.choice(words.BACKGROUNDS[background])}", truth)


def _larger(left: Scene, right: Scene, rng: KeyedRandom) -> Statement:
    shared = [kind for kind in left.kinds if kind in right.kinds]
    kind = rng.choice(shared or left.kinds)
    here = any(thing.kind == kind and thing.size == "large" for thing in left.objects)
    there = any(thing.kind == kind and thing.size == "large" for thing in right.objects)
    side, truth = rng.choice((("left", here), ("right", there)))
    return Statement(f"the {side} picture shows a large {kind}", truth)


_Make = Callable[[Scene, Scene, KeyedRandom], Statement]
_TYPE_OF_STATEMENT: Final[dict[_Make, str]] = {
    _more: "count",
    _as_many: "count",
    _both_show: "kind",
    _only_one_shows: "kind",
    _total: "count",
    _one_shows_colour: "colour",
    _background: "background",
    _larger: "size",
}
_STATEMENT_TYPES: Final = tuple(_TYPE_OF_STATEMENT)


def statement(left: Scene, right: Scene, number: int = 0) -> Statement:
    """Return a statement about two scenes that is true with a probability of one half.

    Args:
        left: Scene of the left image.
        right: Scene of the right image.
        number: Random seed: other numbers give other statements about the same images.
    """
    rng = label_rng(left, 2 + number)
    truth = rng.bernoulli(0.5)
    for _ in range(_TRIES):
        made = rng.choice(_STATEMENT_TYPES)(left, right, rng)
        if made.truth == truth:
            break
    return made


def balanced_statement(left: Scene, rights: Sequence[Scene], number: int = 0) -> tuple[int, Statement]:
    """Return the index of a right image and a statement whose type is independent of its truth.

    Type and truth are drawn first, then a right image is sought that satisfies them. Counts are compared only where
    they differ between the scenes.

    Args:
        left: Scene of the left image.
        rights: Candidate scenes of the right image.
        number: Random seed: other numbers give other statements.
    """
    rng = label_rng(left, _BALANCED + number)
    counts = {len(scene.objects) for scene in (left, *rights)}
    sorts = [make for make in _STATEMENT_TYPES if len(counts) > 1 or _TYPE_OF_STATEMENT[make] != "count"]
    make, truth = rng.choice(sorts), rng.bernoulli(0.5)
    question_type = _TYPE_OF_STATEMENT[make]
    for attempt in range(_TRIES):
        right = attempt % len(rights)
        made = make(left, rights[right], rng)
        if made.truth == truth:
            break
    return right, replace(made, question_type=question_type)
