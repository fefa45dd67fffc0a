"""What a sentence says of a scene, before it is put into words.

A speaker leaves factors out at random. Which are said is all that a sentence tells of its scene: the words
are then chosen by the content alone, so they cancel out of every comparison of scenes, and the probability
of a sentence given a scene can be computed (``likelihood``).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Literal

from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import PLACES
from onepeace_pl.triworld.world.layout import relations
from onepeace_pl.triworld.world.scene import Scene, SceneObject

Caption = Literal["seen", "vague", "heard", "both", "background"]
DETAILED: Final = 2  # only so many objects of a sentence are given their place and rhythm


@dataclass(frozen=True, slots=True)
class Mention:
    """What is said of one object, or of ``number`` objects of a kind; None where a factor is left out."""

    kind: str | None = None
    size: str | None = None
    colour: str | None = None
    place: str | None = None
    rhythm: str | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class Content:
    """What a sentence says.

    Attributes:
        mentions: Objects in the order in which they are named.
        background: The ground, None where left out.
        relation: How the first named lies to the second, None where left out.
        ordered: Whether the order of naming is said to be the order of sounding.
    """

    mentions: tuple[Mention, ...]
    background: str | None = None
    relation: str | None = None
    ordered: bool = False

    def said(self) -> frozenset[str]:
        """Return the names of the factors that are said of anything."""
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
class Habits:
    """How often a speaker says what: probabilities, each met independently.

    Attributes:
        background: The background is said.
        kind: The kind of an object is said.
        size: The size of an object is said.
        colour: The colour of an object is said.
        place: The place of an object is said (of the first two named).
        rhythm: The rhythm of an object is said (of the first two named).
        relation: Two named objects are placed by how the first lies to the second, instead of by places.
        order: Objects are named in the order in which they sound, and that is said.
        merge: Objects that are all of one kind are named together ("two bells").
        omit: One of several objects is left out.
        bare: Nothing but the background is said.
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

    def without(self, factors: frozenset[str]) -> "Habits":
        """Return the habits of a speaker who never says these factors."""
        changed = {spec.name: float(getattr(self, spec.name)) for spec in fields(self)}
        for factor in factors:
            if factor == "count":
                raise ValueError(
                    "factor 'count' can't be left out: the number of named objects is always heard"
                )
            changed[factor] = 0.0
        if "place" in factors:
            changed["relation"] = 0.0
        return Habits(**changed)


HABITS: Final[dict[Caption, Habits]] = {
    "seen": Habits(background=0.9, kind=0.98, size=0.6, colour=0.9, place=0.6, relation=0.3, omit=0.04),
    # Shared factors alone, in the words and frames of what is heard; now and then only the background.
    "vague": Habits(size=0.6, merge=0.8, background=0.0, bare=0.08),
    "heard": Habits(kind=0.97, size=0.6, rhythm=0.75, order=0.5, omit=0.05),
    "both": Habits(
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
    "background": Habits(bare=1.0),
}


def strip(content: Content, factors: frozenset[str]) -> Content:
    """Return the content as one hears it who doesn't know these factors' words."""

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


def describe(scene: Scene, habits: Habits, draws: Draws) -> Content:
    """Choose what to say of a scene."""
    if draws.chance(habits.bare):
        return Content((), background=scene.background)
    background = scene.background if draws.chance(habits.background) else None
    objects = list(scene.objects)
    if len(objects) > 1 and len({thing.kind for thing in objects}) == 1 and draws.chance(habits.merge):
        together = Mention(
            kind=objects[0].kind,
            size=_shared(objects, lambda thing: thing.size) if draws.chance(habits.size) else None,
            colour=_shared(objects, lambda thing: thing.colour) if draws.chance(habits.colour) else None,
            rhythm=_shared(objects, lambda thing: thing.rhythm) if draws.chance(habits.rhythm) else None,
            number=len(objects),
        )
        return Content((together,), background)
    if len(objects) > 1 and draws.chance(habits.omit):
        del objects[draws.below(len(objects))]
    ordered = len(objects) > 1 and draws.chance(habits.order)
    if not ordered:
        objects = draws.shuffled(objects)
    relation = None
    related = len(objects) == 2 and draws.chance(habits.relation)
    if related:
        relation = draws.choice(relations(*(PLACES.index(thing.place) for thing in objects)))
    mentions = tuple(
        Mention(
            kind=thing.kind if draws.chance(habits.kind) else None,
            size=thing.size if draws.chance(habits.size) else None,
            colour=thing.colour if draws.chance(habits.colour) else None,
            place=thing.place if position < DETAILED and not related and draws.chance(habits.place) else None,
            rhythm=thing.rhythm if position < DETAILED and draws.chance(habits.rhythm) else None,
        )
        for position, thing in enumerate(objects)
    )
    return Content(mentions, background, relation, ordered)
