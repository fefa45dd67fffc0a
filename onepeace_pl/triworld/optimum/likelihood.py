"""Likelihood of a caption's content given (a part of) a scene, and its marginal over all scenes of a law.

Scenes are held as integer arrays (``Factors``), so that one content is compared with a whole gallery at once. The
marginal is summed in closed form: given the background and the kinds, all factors are independent. The split of a
world is a hash that no scorer can know, so it plays no part.

Shapes: N scenes, O objects of each, K kinds, G backgrounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.language.captions import MAX_DETAILED, Content, Mention, MentionRates
from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    PLACES,
    RHYTHMS,
    SIZES,
    layouts,
    relations,
)
from onepeace_pl.triworld.world.laws import (
    ALL_PAIRS,
    AUDIBLE_TRAIN_PAIRS,
    TRAIN_PAIRS,
    VISUAL_TRAIN_PAIRS,
    Law,
    PairTables,
    hidden_value_prior,
)
from onepeace_pl.triworld.world.numerics import Floats
from onepeace_pl.triworld.world.scene import Scene

VALUES: Final = {"kind": KINDS, "size": SIZES, "colour": COLOURS, "place": PLACES, "rhythm": RHYTHMS}


@dataclass(frozen=True)
class Factors:
    """Factors that one modality shows of N scenes with the same number of objects, as indices into the tables.

    Attributes:
        background: (N,).
        values: Name of an object's factor -> (N, O); objects in temporal order.
        law: Law of the scenes: the distribution of hidden factors.
        hidden: Factors that the modality does not show: any of colour, place, background, rhythm, order.
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
            raise UserError("scenes with different numbers of objects: group them by number first")
        unknown = hidden - {"colour", "place", "background", "rhythm", "order"}
        if unknown:
            raise UserError(
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
    """Return (N, O) p(value of an object's factor): 0 or 1 where it is shown."""
    position = VALUES[name].index(value)
    if name in factors.hidden:
        return hidden_value_prior(factors.law, name)[:, position][factors.values["kind"]]
    result: Floats = (factors.values[name] == position).astype(np.float64)
    return result


def _ground(factors: Factors, background: str) -> Floats:
    """Return (N,) p(background | kinds): 0 or 1 where it is shown."""
    position = BACKGROUNDS.index(background)
    if "background" in factors.hidden:
        weights = hidden_value_prior(factors.law, "background")[factors.values["kind"]]  # (N, O, backgrounds)
        possible: npt.NDArray[np.bool_] = np.all(weights > 0, axis=1)
        likely: Floats = possible[:, position] / possible.sum(axis=1)
        return likely
    result: Floats = (factors.background == position).astype(np.float64)
    return result


def _mention_likelihood(
    factors: Factors, mention: Mention, rates: MentionRates, position: int, related: bool
) -> Floats:
    """Return (N, O) p(mention | object)."""
    detailed = position < MAX_DETAILED
    total = np.ones_like(factors.values["kind"], dtype=np.float64)
    for name, probability in (
        ("kind", rates.kind),
        ("size", rates.size),
        ("colour", rates.colour),
        ("place", rates.place if detailed and not related else 0.0),
        ("rhythm", rates.rhythm if detailed else 0.0),
    ):
        if name == "place" and "place" in factors.hidden:
            continue  # places depend on one another: see place_probability
        value = getattr(mention, name)
        total = total * (1.0 - probability if value is None else probability * _is(factors, name, value))
    return total


def _joint_mention_likelihood(factors: Factors, mention: Mention, rates: MentionRates) -> Floats:
    """Return (N,) p(one mention for all objects | they are of one kind)."""
    if mention.number != factors.count or mention.place is not None or mention.kind is None:
        return np.zeros(len(factors.background))
    total = rates.merge * _is(factors, "kind", mention.kind)[:, 0]
    for name, probability in (("size", rates.size), ("colour", rates.colour), ("rhythm", rates.rhythm)):
        said = getattr(mention, name)
        if said is not None:
            total = total * probability * _is(factors, name, said).prod(axis=1)
        else:
            alike = sum(_is(factors, name, value).prod(axis=1) for value in VALUES[name])
            total = total * (1.0 - probability * alike)
    return total


def _related(factors: Factors, first: int, second: int, relation: str) -> Floats:
    """Return (N,) p(relation | places of two objects)."""
    if "place" in factors.hidden:
        return np.ones(len(factors.background))
    table = np.zeros((len(PLACES), len(PLACES)))
    for a, b in permutations(range(len(PLACES)), 2):
        table[a, b] = (relation in relations(a, b)) / len(relations(a, b))
    places = factors.values["place"]
    return table[places[:, first], places[:, second]]


def place_probability(content: Content, rates: MentionRates, number: int) -> float:
    """Return the probability of all mentions of places, over all layouts of ``number`` objects."""
    related = content.relation is not None
    total = 0.0
    for cells in layouts(number):
        product = 1.0
        for position, mention in enumerate(content.mentions):
            probability = rates.place if position < MAX_DETAILED and not related else 0.0
            if mention.place is None:
                product *= 1.0 - probability
            else:
                product *= probability * (PLACES[cells[position]] == mention.place)
        if content.relation is not None:
            found = relations(cells[0], cells[1])
            product *= (content.relation in found) / len(found)
        total += product
    return total / len(layouts(number))


def relation_probability(content: Content, rates: MentionRates) -> float:
    """Return the probability of mentioning a relation (or not), as the content does."""
    if len(content.mentions) != 2:
        return 0.0 if content.relation is not None else 1.0
    return rates.relation if content.relation is not None else 1.0 - rates.relation


def object_count_probability(content: Content, rates: MentionRates, number: int) -> float:
    """Return the probability of mentioning as many of ``number`` objects as the content does."""
    named = len(content.mentions)
    if named == number:
        return 1.0 if number == 1 else 1.0 - rates.omit
    return rates.omit if named == number - 1 and named > 0 else 0.0


def content_likelihood(content: Content, factors: Factors, rates: MentionRates) -> Floats:
    """Return (N,) p(content | shown factors) of each scene."""
    number, named = factors.count, len(content.mentions)
    scenes = len(factors.background)
    if named == 0:
        return rates.bare * _ground(factors, content.background) if content.background else np.zeros(scenes)
    if content.background is None:
        before = np.full(scenes, (1.0 - rates.bare) * (1.0 - rates.background))
    else:
        before = (1.0 - rates.bare) * rates.background * _ground(factors, content.background)
    kinds = factors.values["kind"]
    alike = (kinds == kinds[:, :1]).all(axis=1) & (number > 1)
    if content.mentions[0].number > 1:
        together: Floats = before * alike * _joint_mention_likelihood(factors, content.mentions[0], rates)
        return together

    whole = object_count_probability(content, rates, number) * relation_probability(content, rates)
    if not whole:
        return np.zeros(scenes)
    if "place" in factors.hidden:
        whole *= place_probability(content, rates, number)
    if named == number - 1:
        whole /= number  # which object is omitted
    order_shown = "order" not in factors.hidden
    related = content.relation is not None
    each = [
        _mention_likelihood(factors, mention, rates, position, related)
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
        order = rates.order / (1 if order_shown else math.factorial(named))
    else:
        order = (1.0 - rates.order) / math.factorial(named)
    result: Floats = before * (1.0 - rates.merge * alike) * whole * order * total
    return result


def _share(allowed: Floats, said: str | None, values: Sequence[str], probability: float) -> Floats:
    """Return (K,) p(value is allowed and is mentioned, or omitted, as in the content)."""
    if said is None:
        result: Floats = allowed.mean(axis=1) * (1.0 - probability)
        return result
    return allowed[:, values.index(said)] * (probability / len(values))


def _mention_marginal(mention: Mention, rates: MentionRates, allowed: PairTables, position: int) -> Floats:
    """Return (K,) p(object is of a kind, is allowed and has this mention), without places."""
    if mention.kind is None:
        kind = np.full(len(KINDS), (1.0 - rates.kind) / len(KINDS))
    else:
        kind = (np.arange(len(KINDS)) == KINDS.index(mention.kind)) * (rates.kind / len(KINDS))
    size = 1.0 - rates.size if mention.size is None else rates.size / len(SIZES)
    colour = _share(allowed.colours, mention.colour, COLOURS, rates.colour)
    rhythm = _share(
        allowed.rhythms, mention.rhythm, RHYTHMS, rates.rhythm if position < MAX_DETAILED else 0.0
    )
    return kind * size * colour * rhythm


def _all_alike(
    allowed: Floats, said: str | None, values: Sequence[str], probability: float, number: int
) -> Floats:
    """Return (K,) p(``number`` objects have allowed values and share this mention)."""
    each = (allowed / len(values)) ** number
    if said is not None:
        return probability * each[:, values.index(said)]
    result: Floats = allowed.mean(axis=1) ** number - probability * each.sum(axis=1)
    return result


def _joint_mention_marginal(
    mention: Mention, rates: MentionRates, allowed: PairTables, number: int
) -> Floats:
    """Return (K,) p(``number`` objects are of one kind, allowed, and have one mention)."""
    if mention.number != number or mention.kind is None or mention.place is not None:
        return np.zeros(len(KINDS))
    sizes = np.ones((len(KINDS), len(SIZES)))
    total = rates.merge * (np.arange(len(KINDS)) == KINDS.index(mention.kind)) / len(KINDS) ** number
    total = total * _all_alike(sizes, mention.size, SIZES, rates.size, number)
    total = total * _all_alike(allowed.colours, mention.colour, COLOURS, rates.colour, number)
    result: Floats = total * _all_alike(allowed.rhythms, mention.rhythm, RHYTHMS, rates.rhythm, number)
    return result


def _free(allowed: PairTables) -> Floats:
    """Return (K,) p(object is of a kind and is allowed)."""
    result: Floats = allowed.colours.mean(axis=1) * allowed.rhythms.mean(axis=1) / len(KINDS)
    return result


def _possible(number: int, allowed: PairTables) -> float:
    """Return p(scene of ``number`` objects is allowed)."""
    return float(((allowed.backgrounds.T * _free(allowed)).sum(axis=1) ** number).mean())


def _count_marginal(content: Content, rates: MentionRates, number: int, allowed: PairTables) -> float:
    """Return p(scene of ``number`` objects is allowed and has this content)."""
    ground = allowed.backgrounds.T  # (G, K)
    mentions, named = content.mentions, len(content.mentions)
    if content.background is None:
        before = np.full(len(BACKGROUNDS), (1.0 - rates.bare) * (1.0 - rates.background))
    else:
        here = np.arange(len(BACKGROUNDS)) == BACKGROUNDS.index(content.background)
        before = here * ((1.0 - rates.bare) * rates.background if named else rates.bare)
    if named == 0:
        return float((before * (ground * _free(allowed)).sum(axis=1) ** number).mean())
    if mentions[0].number > 1:
        together = _joint_mention_marginal(mentions[0], rates, allowed, number)
        return float((before * (ground**number * together).sum(axis=1)).mean())

    whole = object_count_probability(content, rates, number) * relation_probability(content, rates)
    if named > 1:
        whole *= rates.order if content.ordered else 1.0 - rates.order
    if not whole or (named == 1 and content.ordered):
        return 0.0
    # Objects are exchangeable, so every assignment of mentions to objects contributes the same.
    slots = [
        _mention_marginal(mention, rates, allowed, position) for position, mention in enumerate(mentions)
    ]
    slots += [_free(allowed)] * (number - named)
    apart = np.ones(len(BACKGROUNDS))
    one_kind = np.ones((len(BACKGROUNDS), len(KINDS)))
    for slot in slots:
        apart = apart * (ground * slot).sum(axis=1)
        one_kind = one_kind * (ground * slot)
    if number > 1:
        apart = apart - rates.merge * one_kind.sum(axis=1)
    return float((before * apart).mean()) * whole * place_probability(content, rates, number)


def content_marginal(content: Content, rates: MentionRates, law: Law) -> float:
    """Return p(content) over all scenes of a law."""
    counts = range(law.objects[0], law.objects[1] + 1)
    total = 0.0
    for number in counts:
        if law.novelty == "include":
            total += _count_marginal(content, rates, number, ALL_PAIRS)
        elif law.novelty == "exclude":
            total += _count_marginal(content, rates, number, TRAIN_PAIRS) / _possible(number, TRAIN_PAIRS)
        else:
            rest = VISUAL_TRAIN_PAIRS if law.novelty == "visible" else AUDIBLE_TRAIN_PAIRS
            novel = _count_marginal(content, rates, number, ALL_PAIRS) - _count_marginal(
                content, rates, number, rest
            )
            total += novel / (1.0 - _possible(number, rest))
    return total / len(counts)
