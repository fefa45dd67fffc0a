"""Contents put into words: several grammars, synonyms, and frames kept back to be met in evaluation alone.

The choice of words depends on the content alone. Contents that hold nothing but kind, size and count are put
into the same frames, whether the sentence is about what is seen or about what is heard.
"""

from typing import Final, Literal

from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.content import Content, Mention
from onepeace_pl.triworld.world.draws import Draws

Phrasing = Literal["known", "new"]
FEWEST_WORDS: Final = 5
MOST_WORDS: Final = 40
_TERSE_FROM: Final = 26

# {t} the objects, {be} is or are, {b} the background with a leading blank or nothing.
_SHARED: Final[dict[Phrasing, tuple[str, ...]]] = {
    "known": ("there {be} {t} here", "this is about {t}", "what we have is {t}", "just {t} and nothing else"),
    "new": ("all in all it is {t}", "here {be} {t} for you"),
}
_SEEN: Final[dict[Phrasing, tuple[str, ...]]] = {
    "known": (
        "a picture of {t}{b}",
        "there {be} {t}{b}",
        "the picture shows {t}{b}",
        "we can see {t}{b}",
        "this is {t}{b}",
    ),
    "new": ("look at {t}{b} in this picture", "what the picture shows is {t}{b}"),
}
_SEEN_GROUND_FIRST: Final[dict[Phrasing, tuple[str, ...]]] = {
    "known": ("{b} there {be} {t}", "{b} we can see {t}"),
    "new": ("{b} the picture shows {t}",),
}
_HEARD: Final[dict[Phrasing, tuple[str, ...]]] = {
    "known": ("the sound of {t}{b}", "we can hear {t}{b}", "there {be} {t}{b}", "this is {t}{b}"),
    "new": ("listen to {t}{b} in this sound", "what we can hear is {t}{b}"),
}
_BARE: Final[dict[Phrasing, tuple[str, ...]]] = {
    "known": ("everything here is {b}", "a picture taken {b}", "the whole picture is {b}"),
    "new": ("what we have is {b}",),
}
_TWO: Final = ("{} and {}", "{} with {}", "{} together with {}")
_TWO_IN_ORDER: Final = ("{} then {}", "{} and then {}", "{} followed by {}", "first {} and then {}")


class _Writer:
    """Words for one content; ``terse`` takes the shortest of all synonyms."""

    def __init__(self, draws: Draws, terse: bool) -> None:
        self.draws = draws
        self.terse = terse

    def pick(self, options: tuple[str, ...]) -> str:
        return options[0] if self.terse else self.draws.choice(options)

    def noun(self, mention: Mention) -> str:
        many = mention.number > 1
        if mention.kind is None:
            return self.pick(words.THINGS) + ("s" if many else "")
        # The usual noun three times in four.
        nouns = words.NOUNS[mention.kind]
        pair = nouns[0] if self.terse or self.draws.chance(0.75) else nouns[1]
        return pair[many]

    def thing(self, mention: Mention) -> str:
        adjectives = []
        if mention.size is not None:
            adjectives.append(self.pick(words.SIZES[mention.size]))
        if mention.colour is not None:
            adjectives.append(self.pick(words.COLOURS[mention.colour]))
        noun = self.noun(mention)
        if mention.number == 1 and adjectives and not self.terse and self.draws.chance(0.15):
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
    """Return about how many words a content takes."""
    total = 4 if content.background else 0
    for mention in content.mentions:
        total += 3 + (mention.size is not None) + (mention.colour is not None)
        total += 4 * (mention.place is not None) + 4 * (mention.rhythm is not None)
    return total


def write(content: Content, draws: Draws, phrasing: Phrasing = "known") -> str:
    """Put a content into words, 5 to 40 of them.

    Args:
        content: What to say.
        draws: Chooses among synonyms and grammars.
        phrasing: ``"known"`` for the frames of training, ``"new"`` for those kept back.
    """
    writer = _Writer(draws, terse=_length(content) >= _TERSE_FROM)
    ground = "" if content.background is None else writer.pick(words.BACKGROUNDS[content.background])
    if not content.mentions:
        return draws.choice(_BARE[phrasing]).format(b=ground)
    said = content.said()
    if said <= {"kind", "size", "count"}:
        frames = _SHARED[phrasing]
    elif "rhythm" in said or "order" in said:
        frames = _HEARD[phrasing]
    elif ground and draws.chance(0.25):
        frames = _SEEN_GROUND_FIRST[phrasing]
        return draws.choice(frames).format(b=ground, be=_be(content), t=writer.things(content))
    else:
        frames = _SEEN[phrasing]
    things = writer.things(content)
    sentence = draws.choice(frames).format(t=things, be=_be(content), b=f" {ground}" if ground else "")
    if len(sentence.split()) < FEWEST_WORDS:
        sentence = f"{sentence} here"
    return sentence


def _be(content: Content) -> str:
    return "are" if content.mentions[0].number > 1 else "is"


def vocabulary() -> list[str]:
    """Return every word that a sentence may hold, sorted."""
    parts: list[str] = [*words.THINGS, *(f"{thing}s" for thing in words.THINGS), *words.ANY_VERBS]
    for nouns in words.NOUNS.values():
        parts.extend(noun for pair in nouns for noun in pair)
    for table in (words.VERBS, words.SIZES, words.COLOURS, words.BACKGROUNDS, words.PLACES, words.RELATIONS):
        parts.extend(option for options in table.values() for option in options)
    parts.extend(
        option for options in (*words.RHYTHMS.values(), *words.NUMBERS.values()) for option in options
    )
    for frames in (_SHARED, _SEEN, _SEEN_GROUND_FIRST, _HEARD, _BARE):
        parts.extend(frame for options in frames.values() for frame in options)
    parts.extend((*_TWO, *_TWO_IN_ORDER, "a an is are that and then here"))
    found = {word for part in parts for word in part.replace(",", " ").split() if "{" not in word}
    return sorted(found)
