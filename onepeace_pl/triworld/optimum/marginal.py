"""The probability of a sentence's content over all scenes of a law. Letters: K kinds, G backgrounds.

The sum over scenes is done in closed form: given the background and the kinds, all factors are independent.
The split of a world is a hash that no scorer can know, so it plays no part.
"""

from collections.abc import Sequence

import numpy as np

from onepeace_pl.triworld.language.content import DETAILED, Content, Habits, Mention
from onepeace_pl.triworld.optimum.likelihood import choice_of_objects, choice_of_relation, places_said
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, RHYTHMS, SIZES
from onepeace_pl.triworld.world.laws import (
    ANYTHING,
    LEARNT,
    LEARNT_TO_THE_EAR,
    LEARNT_TO_THE_EYE,
    Allowed,
    Floats,
)
from onepeace_pl.triworld.world.world import Law


def _share(allowed: Floats, said: str | None, values: Sequence[str], probability: float) -> Floats:
    """Return (K,) probability that a value is allowed and is said (left out) as it was."""
    if said is None:
        result: Floats = allowed.mean(axis=1) * (1.0 - probability)
        return result
    return allowed[:, values.index(said)] * (probability / len(values))


def _named_alone(mention: Mention, habits: Habits, allowed: Allowed, position: int) -> Floats:
    """Return (K,) probability that one object is of a kind, is allowed and is named so (places apart)."""
    if mention.kind is None:
        kind = np.full(len(KINDS), (1.0 - habits.kind) / len(KINDS))
    else:
        kind = (np.arange(len(KINDS)) == KINDS.index(mention.kind)) * (habits.kind / len(KINDS))
    size = 1.0 - habits.size if mention.size is None else habits.size / len(SIZES)
    colour = _share(allowed.colours, mention.colour, COLOURS, habits.colour)
    rhythm = _share(allowed.rhythms, mention.rhythm, RHYTHMS, habits.rhythm if position < DETAILED else 0.0)
    return kind * size * colour * rhythm


def _all_alike(
    allowed: Floats, said: str | None, values: Sequence[str], probability: float, number: int
) -> Floats:
    """Return (K,) probability that ``number`` objects have allowed values and are named together just so."""
    each = (allowed / len(values)) ** number
    if said is not None:
        return probability * each[:, values.index(said)]
    result: Floats = allowed.mean(axis=1) ** number - probability * each.sum(axis=1)
    return result


def _named_together(mention: Mention, habits: Habits, allowed: Allowed, number: int) -> Floats:
    """Return (K,) probability that ``number`` objects are of one kind, allowed, and named together."""
    if mention.number != number or mention.kind is None or mention.place is not None:
        return np.zeros(len(KINDS))
    sizes = np.ones((len(KINDS), len(SIZES)))
    total = habits.merge * (np.arange(len(KINDS)) == KINDS.index(mention.kind)) / len(KINDS) ** number
    total = total * _all_alike(sizes, mention.size, SIZES, habits.size, number)
    total = total * _all_alike(allowed.colours, mention.colour, COLOURS, habits.colour, number)
    result: Floats = total * _all_alike(allowed.rhythms, mention.rhythm, RHYTHMS, habits.rhythm, number)
    return result


def _free(allowed: Allowed) -> Floats:
    """Return (K,) probability that an object is of a kind and is allowed."""
    result: Floats = allowed.colours.mean(axis=1) * allowed.rhythms.mean(axis=1) / len(KINDS)
    return result


def _possible(number: int, allowed: Allowed) -> float:
    """Return the probability that a scene of ``number`` objects is allowed."""
    return float(((allowed.backgrounds.T * _free(allowed)).sum(axis=1) ** number).mean())


def _told(content: Content, habits: Habits, number: int, allowed: Allowed) -> float:
    """Return the probability that a scene of ``number`` objects is allowed and is told by this content."""
    ground = allowed.backgrounds.T  # (G, K)
    mentions, named = content.mentions, len(content.mentions)
    if content.background is None:
        before = np.full(len(BACKGROUNDS), (1.0 - habits.bare) * (1.0 - habits.background))
    else:
        here = np.arange(len(BACKGROUNDS)) == BACKGROUNDS.index(content.background)
        before = here * ((1.0 - habits.bare) * habits.background if named else habits.bare)
    if named == 0:
        return float((before * (ground * _free(allowed)).sum(axis=1) ** number).mean())
    if mentions[0].number > 1:
        together = _named_together(mentions[0], habits, allowed, number)
        return float((before * (ground**number * together).sum(axis=1)).mean())

    whole = choice_of_objects(content, habits, number) * choice_of_relation(content, habits)
    if named > 1:
        whole *= habits.order if content.ordered else 1.0 - habits.order
    if not whole or (named == 1 and content.ordered):
        return 0.0
    # Objects are alike in law, so every assignment of mentions to objects contributes the same.
    slots = [_named_alone(mention, habits, allowed, position) for position, mention in enumerate(mentions)]
    slots += [_free(allowed)] * (number - named)
    apart = np.ones(len(BACKGROUNDS))
    one_kind = np.ones((len(BACKGROUNDS), len(KINDS)))
    for slot in slots:
        apart = apart * (ground * slot).sum(axis=1)
        one_kind = one_kind * (ground * slot)
    if number > 1:
        apart = apart - habits.merge * one_kind.sum(axis=1)
    return float((before * apart).mean()) * whole * places_said(content, habits, number)


def alone(content: Content, habits: Habits, law: Law) -> float:
    """Return p(content): how likely it is to be said of a scene drawn by the law."""
    counts = range(law.objects[0], law.objects[1] + 1)
    total = 0.0
    for number in counts:
        if law.novelty == "include":
            total += _told(content, habits, number, ANYTHING)
        elif law.novelty == "exclude":
            total += _told(content, habits, number, LEARNT) / _possible(number, LEARNT)
        else:
            rest = LEARNT_TO_THE_EYE if law.novelty == "visible" else LEARNT_TO_THE_EAR
            novel = _told(content, habits, number, ANYTHING) - _told(content, habits, number, rest)
            total += novel / (1.0 - _possible(number, rest))
    return total / len(counts)
