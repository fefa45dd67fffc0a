"""The probability of a sentence's content given a scene, or given only a part of what a scene holds.

Scenes are held as integer arrays (``Factors``), so that one content is compared with a whole gallery at once.
Letters: N scenes, O objects of each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.language.content import DETAILED, Content, Habits, Mention
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, PLACES, RHYTHMS, SIZES
from onepeace_pl.triworld.world.laws import Floats, hidden_values
from onepeace_pl.triworld.world.layout import layouts, relations
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import Law

VALUES: Final = {"kind": KINDS, "size": SIZES, "colour": COLOURS, "place": PLACES, "rhythm": RHYTHMS}


@dataclass(frozen=True)
class Factors:
    """What one modality shows of N scenes with the same number of objects, as indices into the tables.

    Attributes:
        background: (N,).
        values: Name of an object's factor -> (N, O); objects in the order in which they sound.
        law: Law by which the scenes were drawn; what is hidden follows it.
        hidden: Factors that the modality doesn't show: any of colour, place, background, rhythm, order.
    """

    background: npt.NDArray[np.int64]
    values: dict[str, npt.NDArray[np.int64]]
    law: Law
    hidden: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """Number of objects in each scene."""
        return int(self.values["kind"].shape[1])

    @staticmethod
    def of(scenes: Sequence[Scene], law: Law, hidden: frozenset[str] = frozenset()) -> "Factors":
        """Return the factors of scenes that all have the same number of objects."""
        if len({len(scene.objects) for scene in scenes}) > 1:
            raise ValueError("scenes with different numbers of objects: group them by number first")
        unknown = hidden - {"colour", "place", "background", "rhythm", "order"}
        if unknown:
            raise ValueError(
                f"hidden factors {sorted(unknown)}: kind, size and count are shown by every modality"
            )
        return Factors(
            background=np.array([BACKGROUNDS.index(scene.background) for scene in scenes], dtype=np.int64),
            values={
                name: np.array(
                    [[table.index(getattr(thing, name)) for thing in scene.objects] for scene in scenes],
                    dtype=np.int64,
                )
                for name, table in VALUES.items()
            },
            law=law,
            hidden=hidden,
        )


def _is(factors: Factors, name: str, value: str) -> Floats:
    """Return (N, O): is this the value of an object's factor; where hidden, how likely it is."""
    position = VALUES[name].index(value)
    if name in factors.hidden:
        return hidden_values(factors.law, name)[:, position][factors.values["kind"]]
    result: Floats = (factors.values[name] == position).astype(np.float64)
    return result


def _ground(factors: Factors, background: str) -> Floats:
    """Return (N,): is this the background; where hidden, how likely it is behind objects of these kinds."""
    position = BACKGROUNDS.index(background)
    if "background" in factors.hidden:
        weights = hidden_values(factors.law, "background")[factors.values["kind"]]  # (N, O, backgrounds)
        possible: npt.NDArray[np.bool_] = np.all(weights > 0, axis=1)
        likely: Floats = possible[:, position] / possible.sum(axis=1)
        return likely
    result: Floats = (factors.background == position).astype(np.float64)
    return result


def _named_alone(factors: Factors, mention: Mention, habits: Habits, position: int, related: bool) -> Floats:
    """Return (N, O): the probability of naming each object just so."""
    detailed = position < DETAILED
    total = np.ones_like(factors.values["kind"], dtype=np.float64)
    for name, probability in (
        ("kind", habits.kind),
        ("size", habits.size),
        ("colour", habits.colour),
        ("place", habits.place if detailed and not related else 0.0),
        ("rhythm", habits.rhythm if detailed else 0.0),
    ):
        if name == "place" and "place" in factors.hidden:
            continue  # places depend on one another: see places_said
        value = getattr(mention, name)
        total = total * (1.0 - probability if value is None else probability * _is(factors, name, value))
    return total


def _named_together(factors: Factors, mention: Mention, habits: Habits) -> Floats:
    """Return (N,) the probability of one mention for all objects, given that they are of one kind."""
    if mention.number != factors.count or mention.place is not None or mention.kind is None:
        return np.zeros(len(factors.background))
    total = habits.merge * _is(factors, "kind", mention.kind)[:, 0]
    for name, probability in (("size", habits.size), ("colour", habits.colour), ("rhythm", habits.rhythm)):
        said = getattr(mention, name)
        if said is not None:
            total = total * probability * _is(factors, name, said).prod(axis=1)
        else:
            alike = sum(_is(factors, name, value).prod(axis=1) for value in VALUES[name])
            total = total * (1.0 - probability * alike)
    return total


def _related(factors: Factors, first: int, second: int, relation: str) -> Floats:
    """Return (N,) the probability that this relation is the one chosen for two objects."""
    if "place" in factors.hidden:
        return np.ones(len(factors.background))
    table = np.zeros((len(PLACES), len(PLACES)))
    for a, b in permutations(range(len(PLACES)), 2):
        table[a, b] = (relation in relations(a, b)) / len(relations(a, b))
    places = factors.values["place"]
    return table[places[:, first], places[:, second]]


def places_said(content: Content, habits: Habits, number: int) -> float:
    """Return the probability of what is said about places, over all layouts of ``number`` objects."""
    related = content.relation is not None
    total = 0.0
    for cells in layouts(number):
        product = 1.0
        for position, mention in enumerate(content.mentions):
            probability = habits.place if position < DETAILED and not related else 0.0
            if mention.place is None:
                product *= 1.0 - probability
            else:
                product *= probability * (PLACES[cells[position]] == mention.place)
        if content.relation is not None:
            found = relations(cells[0], cells[1])
            product *= (content.relation in found) / len(found)
        total += product
    return total / len(layouts(number))


def choice_of_relation(content: Content, habits: Habits) -> float:
    """Return the probability of placing two objects by a relation (or not), as the content does."""
    if len(content.mentions) != 2:
        return 0.0 if content.relation is not None else 1.0
    return habits.relation if content.relation is not None else 1.0 - habits.relation


def choice_of_objects(content: Content, habits: Habits, number: int) -> float:
    """Return the probability of naming so many of ``number`` objects."""
    named = len(content.mentions)
    if named == number:
        return 1.0 if number == 1 else 1.0 - habits.omit
    return habits.omit if named == number - 1 and named > 0 else 0.0


def given_scene(content: Content, factors: Factors, habits: Habits) -> Floats:
    """Return (N,) p(content | what is shown): how likely a speaker is to say just this of each scene."""
    number, named = factors.count, len(content.mentions)
    scenes = len(factors.background)
    if named == 0:
        return habits.bare * _ground(factors, content.background) if content.background else np.zeros(scenes)
    if content.background is None:
        before = np.full(scenes, (1.0 - habits.bare) * (1.0 - habits.background))
    else:
        before = (1.0 - habits.bare) * habits.background * _ground(factors, content.background)
    kinds = factors.values["kind"]
    alike = (kinds == kinds[:, :1]).all(axis=1) & (number > 1)
    if content.mentions[0].number > 1:
        together: Floats = before * alike * _named_together(factors, content.mentions[0], habits)
        return together

    whole = choice_of_objects(content, habits, number) * choice_of_relation(content, habits)
    if not whole:
        return np.zeros(scenes)
    if "place" in factors.hidden:
        whole *= places_said(content, habits, number)
    if named == number - 1:
        whole /= number  # which object is left out
    order_shown = "order" not in factors.hidden
    related = content.relation is not None
    each = [
        _named_alone(factors, mention, habits, position, related)
        for position, mention in enumerate(content.mentions)
    ]
    total = np.zeros(scenes)
    for slots in permutations(range(number), named):
        if content.ordered and order_shown and list(slots) != sorted(slots):
            continue
        product = np.ones(scenes)
        for slot, probability in zip(slots, each, strict=True):
            product = product * probability[:, slot]
        if content.relation is not None:
            product = product * _related(factors, slots[0], slots[1], content.relation)
        total = total + product
    if named == 1:
        order = 0.0 if content.ordered else 1.0
    elif content.ordered:
        order = habits.order / (1 if order_shown else math.factorial(named))
    else:
        order = (1.0 - habits.order) / math.factorial(named)
    result: Floats = before * (1.0 - habits.merge * alike) * whole * order * total
    return result
