"""Referring expressions: phrases that identify one object of an image, for visual grounding."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.world.factors import PLACES, relations
from onepeace_pl.triworld.world.numerics import KeyedRandom, RandomPurpose
from onepeace_pl.triworld.world.scene import Scene, SceneObject
from onepeace_pl.triworld.world.world import SPLITS

_FACTORS = ("kind", "size", "colour", "place")


@dataclass(frozen=True, slots=True)
class ReferringExpression:
    """A phrase and the one object that it refers to.

    Attributes:
        text: Such as ``"the red bell"``.
        target: Index of the object in its scene.
        factors: Factors that the phrase mentions: any of kind, size, colour, place, relation.
    """

    text: str
    target: int
    factors: frozenset[str]


def label_rng(scene: Scene, purpose: int) -> KeyedRandom:
    """Return the random number generator of a scene's labels."""
    return KeyedRandom(scene.seed, SPLITS.index(scene.split), scene.index, RandomPurpose.LABEL, purpose)


def is_unique(scene: Scene, target: int, factors: tuple[str, ...]) -> bool:
    """Return whether no other object has the same values of the factors."""
    thing = scene.objects[target]
    return not any(
        all(getattr(thing, name) == getattr(other, name) for name in factors)
        for number, other in enumerate(scene.objects)
        if number != target
    )


def phrase(thing: SceneObject, factors: frozenset[str] | tuple[str, ...], rng: KeyedRandom) -> str:
    """Return a noun phrase of some factors, such as ``"the small red bell at the top"``."""
    parts = ["the"]
    if "size" in factors:
        parts.append(rng.choice(words.SIZES[thing.size]))
    if "colour" in factors:
        parts.append(rng.choice(words.COLOURS[thing.colour]))
    nouns = words.NOUNS[thing.kind]
    if "kind" in factors:
        parts.append(nouns[0][0] if rng.bernoulli(0.75) else nouns[1][0])
    else:
        parts.append(rng.choice(words.THINGS))
    if "place" in factors:
        parts.append(rng.choice(words.PLACES[thing.place]))
    return " ".join(parts)


def _candidates(scene: Scene, target: int) -> Iterator[tuple[str, ...]]:
    """Yield minimal sets of factors that identify an object."""
    found: list[tuple[str, ...]] = []
    for length in range(1, len(_FACTORS) + 1):
        for factors in combinations(_FACTORS, length):
            smaller = any(set(known) <= set(factors) for known in found)
            if not smaller and is_unique(scene, target, factors):
                found.append(factors)
                yield factors


def referring_expressions(scene: Scene) -> list[ReferringExpression]:
    """Return all minimal expressions for every object, and one by its relation to a neighbour.

    Places are unique, so every object has at least one.
    """
    rng = label_rng(scene, 0)
    found: list[ReferringExpression] = []
    for target, thing in enumerate(scene.objects):
        for factors in _candidates(scene, target):
            used = frozenset(factors)
            found.append(ReferringExpression(phrase(thing, used, rng), target, used))
        neighbours = [
            number
            for number, other in enumerate(scene.objects)
            if number != target and other.kind != thing.kind and is_unique(scene, number, ("kind",))
        ]
        if neighbours and len(scene.objects) > 2:
            other = scene.objects[rng.choice(neighbours)]
            relation = rng.choice(relations(PLACES.index(thing.place), PLACES.index(other.place)))
            if _alone_in_relation(scene, target, other, relation):
                text = f"{phrase(thing, ('kind',), rng)} {rng.choice(words.RELATIONS[relation])} "
                found.append(
                    ReferringExpression(
                        text + phrase(other, ("kind",), rng), target, frozenset({"kind", "relation"})
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
