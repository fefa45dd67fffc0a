"""Phrases that single out one object of a picture, as referring-expression tasks need them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.world.draws import Draws, Stream
from onepeace_pl.triworld.world.factors import PLACES
from onepeace_pl.triworld.world.layout import relations
from onepeace_pl.triworld.world.scene import Scene, SceneObject
from onepeace_pl.triworld.world.world import SPLITS

_FACTORS = ("kind", "size", "colour", "place")


@dataclass(frozen=True, slots=True)
class Expression:
    """A phrase and the one object that it fits.

    Attributes:
        text: Such as ``"the red bell"``.
        target: Number of the object in its scene.
        factors: What the phrase makes use of: any of kind, size, colour, place, relation.
    """

    text: str
    target: int
    factors: frozenset[str]


def label_draws(scene: Scene, purpose: int) -> Draws:
    """Return the stream from which labels of a scene are worded."""
    return Draws(scene.seed, SPLITS.index(scene.split), scene.index, Stream.LABEL, purpose)


def singled_out(scene: Scene, target: int, factors: tuple[str, ...]) -> bool:
    """Return whether no other object agrees with this one in all of the factors."""
    thing = scene.objects[target]
    return not any(
        all(getattr(thing, name) == getattr(other, name) for name in factors)
        for number, other in enumerate(scene.objects)
        if number != target
    )


def phrase(thing: SceneObject, factors: frozenset[str] | tuple[str, ...], draws: Draws) -> str:
    """Return ``"the small red bell at the top"`` with just these factors."""
    parts = ["the"]
    if "size" in factors:
        parts.append(draws.choice(words.SIZES[thing.size]))
    if "colour" in factors:
        parts.append(draws.choice(words.COLOURS[thing.colour]))
    nouns = words.NOUNS[thing.kind]
    if "kind" in factors:
        parts.append(nouns[0][0] if draws.chance(0.75) else nouns[1][0])
    else:
        parts.append(draws.choice(words.THINGS))
    if "place" in factors:
        parts.append(draws.choice(words.PLACES[thing.place]))
    return " ".join(parts)


def _candidates(scene: Scene, target: int) -> Iterator[tuple[str, ...]]:
    """Yield sets of factors that single the object out and would not with one less."""
    found: list[tuple[str, ...]] = []
    for length in range(1, len(_FACTORS) + 1):
        for factors in combinations(_FACTORS, length):
            smaller = any(set(known) <= set(factors) for known in found)
            if not smaller and singled_out(scene, target, factors):
                found.append(factors)
                yield factors


def referring_expressions(scene: Scene) -> list[Expression]:
    """Return, for every object, all shortest phrases that fit it alone, and one by its neighbour.

    Places are unique, so every object has at least one.
    """
    draws = label_draws(scene, 0)
    found: list[Expression] = []
    for target, thing in enumerate(scene.objects):
        for factors in _candidates(scene, target):
            used = frozenset(factors)
            found.append(Expression(phrase(thing, used, draws), target, used))
        neighbours = [
            number
            for number, other in enumerate(scene.objects)
            if number != target and other.kind != thing.kind and singled_out(scene, number, ("kind",))
        ]
        if neighbours and len(scene.objects) > 2:
            other = scene.objects[draws.choice(neighbours)]
            relation = draws.choice(relations(PLACES.index(thing.place), PLACES.index(other.place)))
            if _alone_in_relation(scene, target, other, relation):
                text = f"{phrase(thing, ('kind',), draws)} {draws.choice(words.RELATIONS[relation])} "
                found.append(
                    Expression(
                        text + phrase(other, ("kind",), draws), target, frozenset({"kind", "relation"})
                    )
                )
    return found


def _alone_in_relation(scene: Scene, target: int, other: SceneObject, relation: str) -> bool:
    kind = scene.objects[target].kind
    return not any(
        number != target
        and thing.kind == kind
        and relation in relations(PLACES.index(thing.place), PLACES.index(other.place))
        for number, thing in enumerate(scene.objects)
    )
