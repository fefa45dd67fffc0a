"""Captions: the factors that a sentence mentions, and the grammars and synonyms that word them.

A speaker leaves factors out at random. The choice of words depends on the content alone, so words cancel out of every
comparison of scenes, and the probability of a caption given a scene can be computed
(:mod:`onepeace_pl.triworld.optimum.likelihood`). Contents of nothing but kind, size and count get the same templates,
whether the caption describes the image or the audio. Some templates are held out for evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Literal

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.world.factors import PLACES, relations
from onepeace_pl.triworld.world.numerics import KeyedRandom
from onepeace_pl.triworld.world.scene import Scene, SceneObject

Caption = Literal["image", "vague", "audio", "audiovisual", "background", "objects", "colours"]
MAX_DETAILED: Final = 2  # only so many objects of a caption get a place and a rhythm


@dataclass(frozen=True, slots=True)
class Mention:
    """Factors mentioned of one object, or of ``number`` objects of a kind; None where a factor is omitted."""

    kind: str | None = None
    size: str | None = None
    colour: str | None = None
    place: str | None = None
    rhythm: str | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class Content:
    """Semantic content of a caption.

    Attributes:
        mentions: Objects in the order of the caption.
        background: The background, None where omitted.
        relation: Spatial relation of the first object to the second, None where omitted.
        ordered: Whether the caption states the temporal order of its objects.
    """

    mentions: tuple[Mention, ...]
    background: str | None = None
    relation: str | None = None
    ordered: bool = False

    def factors(self) -> frozenset[str]:
        """Return the names of the factors that are mentioned."""
        found = {
            name
            for name in ("kind", "size", "colour", "place", "rhythm")
            if any(getattr(mention, name) is not None for mention in self.mentions)
        }
        if self.background is not None:
            found.add("background")
        if self.relation is not None:
            found.add("place")
        if self.ordered:
            found.add("order")
        if any(mention.number > 1 for mention in self.mentions) or len(self.mentions) > 1:
            found.add("count")
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class MentionRates:
    """Independent probabilities of mentioning a factor.

    Attributes:
        background: The background.
        kind: The kind of an object.
        size: The size of an object.
        colour: The colour of an object.
        place: The place of an object (of the first two).
        rhythm: The rhythm of an object (of the first two).
        relation: The spatial relation of two objects, instead of their places.
        order: The temporal order of the objects.
        merge: Objects that are all of one kind are mentioned together ("two bells").
        omit: One of several objects is omitted.
        bare: Nothing but the background is mentioned.
    """

    background: float = 0.0
    kind: float = 1.0
    size: float = 0.0
    colour: float = 0.0
    place: float = 0.0
    rhythm: float = 0.0
    relation: float = 0.0
    order: float = 0.0
    merge: float = 0.6
    omit: float = 0.0
    bare: float = 0.0

    def without(self, factors: frozenset[str]) -> "MentionRates":
        """Return the rates of a speaker who never mentions these factors."""
        changed = {spec.name: float(getattr(self, spec.name)) for spec in fields(self)}
        for factor in factors:
            if factor == "count":
                raise UserError("factor 'count' can't be omitted: every caption mentions a number of objects")
            changed[factor] = 0.0
        if "place" in factors:
            changed["relation"] = 0.0
        return MentionRates(**changed)


MENTION_RATES: Final[dict[Caption, MentionRates]] = {
    "image": MentionRates(
        background=0.9, kind=0.98, size=0.6, colour=0.9, place=0.6, relation=0.3, omit=0.04
    ),
    # Factors that image and audio share, in the words and templates of both; now and then only the background.
    "vague": MentionRates(size=0.6, merge=0.8, background=0.0, bare=0.08),
    "audio": MentionRates(kind=0.97, size=0.6, rhythm=0.75, order=0.5, omit=0.05),
    "audiovisual": MentionRates(
        background=0.7,
        kind=0.97,
        size=0.5,
        colour=0.6,
        place=0.35,
        rhythm=0.6,
        relation=0.0,
        order=0.4,
        omit=0.05,
    ),
    "background": MentionRates(bare=1.0),
    "objects": MentionRates(size=1.0, merge=0.0),
    "colours": MentionRates(kind=0.0, colour=1.0, merge=0.0),
}


def without_factors(content: Content, factors: frozenset[str]) -> Content:
    """Return the content without some factors: what a text encoder keeps that has not learnt their words."""

    def keep(value: str | None, factor: str) -> str | None:
        return None if factor in factors else value

    return Content(
        mentions=tuple(
            Mention(
                kind=keep(mention.kind, "kind"),
                size=keep(mention.size, "size"),
                colour=keep(mention.colour, "colour"),
                place=keep(mention.place, "place"),
                rhythm=keep(mention.rhythm, "rhythm"),
                number=mention.number,
            )
            for mention in content.mentions
        ),
        background=keep(content.background, "background"),
        relation=keep(content.relation, "place"),
        ordered=content.ordered and "order" not in factors,
    )


def _shared(objects: list[SceneObject], value: Callable[[SceneObject], str]) -> str | None:
    values = {value(thing) for thing in objects}
    return values.pop() if len(values) == 1 else None


def sample_content(scene: Scene, rates: MentionRates, rng: KeyedRandom) -> Content:
    """Sample the content of a caption of a scene."""
    if rng.bernoulli(rates.bare):
        return Content((), background=scene.background)
    background = scene.background if rng.bernoulli(rates.background) else None
    objects = list(scene.objects)
    if len(objects) > 1 and len({thing.kind for thing in objects}) == 1 and rng.bernoulli(rates.merge):
        together = Mention(
            kind=objects[0].kind,
            size=_shared(objects, lambda thing: thing.size) if rng.bernoulli(rates.size) else None,
            colour=_shared(objects, lambda thing: thing.colour) if rng.bernoulli(rates.colour) else None,
            rhythm=_shared(objects, lambda thing: thing.rhythm) if rng.bernoulli(rates.rhythm) else None,
            number=len(objects),
        )
        return Content((together,), background)
    if len(objects) > 1 and rng.bernoulli(rates.omit):
        del objects[rng.integer(len(objects))]
    ordered = len(objects) > 1 and rng.bernoulli(rates.order)
    if not ordered:
        objects = rng.shuffled(objects)
    relation = None
    related = len(objects) == 2 and rng.bernoulli(rates.relation)
    if related:
        relation = rng.choice(relations(*(PLACES.index(thing.place) for thing in objects)))
    mentions = tuple(
        Mention(
            kind=thing.kind if rng.bernoulli(rates.kind) else None,
            size=thing.size if rng.bernoulli(rates.size) else None,
            colour=thing.colour if rng.bernoulli(rates.colour) else None,
            place=thing.place
            if position < MAX_DETAILED and not related and rng.bernoulli(rates.place)
            else None,
            rhythm=thing.rhythm if position < MAX_DETAILED and rng.bernoulli(rates.rhythm) else None,
        )
        for position, thing in enumerate(objects)
    )
    return Content(mentions, background, relation, ordered)


Templates = Literal["train", "held_out"]
MIN_WORDS: Final = 5
MAX_WORDS: Final = 40
_TERSE_FROM: Final = 26

# {t} the objects, {be} is or are, {b} the background with a leading space or nothing.
_SHARED: Final[dict[Templates, tuple[str, ...]]] = {
    "train": ("there {be} {t} here", "this is about {t}", "what we have is {t}", "just {t} and nothing else"),
    "held_out": ("all in all it is {t}", "here {be} {t} for you"),
}
_IMAGE: Final[dict[Templates, tuple[str, ...]]] = {
    "train": (
        "a picture of {t}{b}",
        "there {be} {t}{b}",
        "the picture shows {t}{b}",
        "we can see {t}{b}",
        "this is {t}{b}",
    ),
    "held_out": ("look at {t}{b} in this picture", "what the picture shows is {t}{b}"),
}
_IMAGE_BACKGROUND_FIRST: Final[dict[Templates, tuple[str, ...]]] = {
    "train": ("{b} there {be} {t}", "{b} we can see {t}"),
    "held_out": ("{b} the picture shows {t}",),
}
_AUDIO: Final[dict[Templates, tuple[str, ...]]] = {
    "train": ("the sound of {t}{b}", "we can hear {t}{b}", "there {be} {t}{b}", "this is {t}{b}"),
    "held_out": ("listen to {t}{b} in this sound", "what we can hear is {t}{b}"),
}
_BARE: Final[dict[Templates, tuple[str, ...]]] = {
    "train": ("everything here is {b}", "a picture taken {b}", "the whole picture is {b}"),
    "held_out": ("what we have is {b}",),
}
_TWO: Final = ("{} and {}", "{} with {}", "{} together with {}")
_TWO_IN_ORDER: Final = ("{} then {}", "{} and then {}", "{} followed by {}", "first {} and then {}")


class _Writer:
    """Surface realisation of one content; ``terse`` takes the shortest of all synonyms."""

    def __init__(self, rng: KeyedRandom, terse: bool) -> None:
        self.rng = rng
        self.terse = terse

    def pick(self, options: tuple[str, ...]) -> str:
        return options[0] if self.terse else self.rng.choice(options)

    def noun(self, mention: Mention) -> str:
        many = mention.number > 1
        if mention.kind is None:
            return self.pick(words.THINGS) + ("s" if many else "")
        # The usual noun three times in four.
        nouns = words.NOUNS[mention.kind]
        pair = nouns[0] if self.terse or self.rng.bernoulli(0.75) else nouns[1]
        return pair[many]

    def thing(self, mention: Mention) -> str:
        adjectives = []
        if mention.size is not None:
            adjectives.append(self.pick(words.SIZES[mention.size]))
        if mention.colour is not None:
            adjectives.append(self.pick(words.COLOURS[mention.colour]))
        noun = self.noun(mention)
        if mention.number == 1 and adjectives and not self.terse and self.rng.bernoulli(0.15):
            phrase = f"{noun} that is {' and '.join(adjectives)}"
        else:
            phrase = " ".join([*adjectives, noun])
        if mention.number > 1:
            phrase = f"{self.pick(words.NUMBERS[mention.number])} {phrase}"
        else:
            phrase = f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
        if mention.place is not None:
            phrase = f"{phrase} {self.pick(words.PLACES[mention.place])}"
        if mention.rhythm is not None:
            verbs = words.ANY_VERBS if mention.kind is None else words.VERBS[mention.kind]
            pace = self.pick(words.RHYTHMS[mention.rhythm])
            phrase = f"{phrase} {pace}" if self.terse else f"{phrase} {self.pick(verbs)} {pace}"
        return phrase

    def things(self, content: Content) -> str:
        phrases = [self.thing(mention) for mention in content.mentions]
        if len(phrases) == 1:
            return phrases[0]
        if content.relation is not None:
            return f"{phrases[0]} {self.pick(words.RELATIONS[content.relation])} {phrases[1]}"
        if len(phrases) == 2:
            return self.pick(_TWO_IN_ORDER if content.ordered else _TWO).format(*phrases)
        if content.ordered:
            return ", then ".join(phrases)
        return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _length(content: Content) -> int:
    """Estimate the number of words of a content."""
    total = 4 if content.background else 0
    for mention in content.mentions:
        total += 3 + (mention.size is not None) + (mention.colour is not None)
        total += 4 * (mention.place is not None) + 4 * (mention.rhythm is not None)
    return total


def realise(content: Content, rng: KeyedRandom, templates: Templates = "train") -> str:
    """Return a sentence of 5 to 40 words for a content.

    Args:
        content: The content.
        rng: Chooses among synonyms and grammars.
        templates: ``"train"`` for those of training, ``"held_out"`` for those of evaluation.
    """
    writer = _Writer(rng, terse=_length(content) >= _TERSE_FROM)
    ground = "" if content.background is None else writer.pick(words.BACKGROUNDS[content.background])
    if not content.mentions:
        return rng.choice(_BARE[templates]).format(b=ground)
    mentioned = content.factors()
    if mentioned <= {"kind", "size", "count"}:
        options = _SHARED[templates]
    elif "rhythm" in mentioned or "order" in mentioned:
        options = _AUDIO[templates]
    elif ground and rng.bernoulli(0.25):
        options = _IMAGE_BACKGROUND_FIRST[templates]
        return rng.choice(options).format(b=ground, be=_be(content), t=writer.things(content))
    else:
        options = _IMAGE[templates]
    things = writer.things(content)
    sentence = rng.choice(options).format(t=things, be=_be(content), b=f" {ground}" if ground else "")
    if len(sentence.split()) < MIN_WORDS:
        sentence = f"{sentence} here"
    return sentence


def _be(content: Content) -> str:
    return "are" if content.mentions[0].number > 1 else "is"


def vocabulary() -> list[str]:
    """Return every word of any caption, sorted."""
    parts: list[str] = [*words.THINGS, *(f"{thing}s" for thing in words.THINGS), *words.ANY_VERBS]
    for nouns in words.NOUNS.values():
        parts.extend(noun for pair in nouns for noun in pair)
    for table in (words.VERBS, words.SIZES, words.COLOURS, words.BACKGROUNDS, words.PLACES, words.RELATIONS):
        parts.extend(option for options in table.values() for option in options)
    parts.extend(
        option for options in (*words.RHYTHMS.values(), *words.NUMBERS.values()) for option in options
    )
    for frames in (_SHARED, _IMAGE, _IMAGE_BACKGROUND_FIRST, _AUDIO, _BARE):
        parts.extend(frame for options in frames.values() for frame in options)
    parts.extend((*_TWO, *_TWO_IN_ORDER, "a an is are that and then here"))
    found = {word for part in parts for word in part.replace(",", " ").split() if "{" not in word}
    return sorted(found)
