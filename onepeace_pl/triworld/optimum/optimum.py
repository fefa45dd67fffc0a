"""The best achievable recall of a gallery: Bayes' rule, ties broken at random. Letters: Q queries, T targets.

A query and a target belong together with odds p(target | query) / p(target). Sentences leave factors out at
random, so a fuller sentence is likelier to belong to the scene that it fits: a rule that only asks what fits
is worse. Recall is the expected share of queries whose own target is among the k best.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

import numpy as np

from onepeace_pl.triworld.language.content import Content, Habits, strip
from onepeace_pl.triworld.optimum.likelihood import Factors, given_scene
from onepeace_pl.triworld.optimum.marginal import alone
from onepeace_pl.triworld.world.factors import AUDIBLE, VISIBLE
from onepeace_pl.triworld.world.laws import Floats
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import Law

KS: Final = (1, 5, 10)
SHOWS: Final[dict[str, frozenset[str]]] = {"image": VISIBLE, "audio": AUDIBLE}
_DECIMALS: Final = 9  # scores that differ by rounding alone are ties


def sentence_scores(
    contents: Sequence[Content],
    scenes: Sequence[Scene],
    habits: Habits,
    law: Law,
    modality: str,
    unheard: frozenset[str] = frozenset(),
) -> Floats:
    """Return (contents, scenes) log p(content | scene) / p(content), -inf where the content is untrue.

    Args:
        contents: What the sentences say.
        scenes: The scenes that a modality shows.
        habits: Of the speaker.
        law: By which the scenes were drawn.
        modality: ``"image"`` or ``"audio"``: what it doesn't show is summed over.
        unheard: Factors whose words the text's side has never learnt; the best is then found without them.
    """
    known = frozenset(SHOWS[modality])
    hidden = frozenset({"colour", "place", "background", "rhythm", "order"}) - known
    habits = habits.without(unheard)
    heard = [strip(content, unheard) for content in contents]
    scores = np.full((len(contents), len(scenes)), -np.inf)
    with np.errstate(divide="ignore"):
        base = np.log([alone(content, habits, law) for content in heard])
        for count in {len(scene.objects) for scene in scenes}:
            columns = [i for i, scene in enumerate(scenes) if len(scene.objects) == count]
            factors = Factors.of([scenes[i] for i in columns], law, hidden)
            for row, content in enumerate(heard):
                scores[row, columns] = np.log(given_scene(content, factors, habits)) - base[row]
    return scores


def shared_scores(queries: Sequence[Scene], targets: Sequence[Scene]) -> Floats:
    """Return (Q, T) scores of a sound and a picture: 0 where kinds and sizes agree, -inf elsewhere.

    Kind, size and count are all that both show, and given these the rest is independent, so that what fits is
    tied: for one query p(target | query) / p(target) is the same for all targets that agree.
    """
    keys = [
        tuple(sorted((thing.kind, thing.size) for thing in scene.objects)) for scene in (*queries, *targets)
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    index = np.array([numbers[key] for key in keys])
    agree = index[: len(queries), None] == index[None, len(queries) :]
    return np.where(agree, 0.0, -np.inf)


def _rounded(scores: Floats) -> Floats:
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"scores of shape {scores.shape}: row i must be a query and column i its own target")
    return np.round(scores, _DECIMALS)


def recall(
    scores: Floats,
    ks: Sequence[int] = KS,
    queries: Sequence[Hashable] | None = None,
    targets: Sequence[Hashable] | None = None,
) -> dict[int, float]:
    """Return k -> expected share of queries (rows) that find a target of theirs (same column) among the k best.

    Queries of equal content are one, which any of their targets answers, and so are targets of equal content.

    Args:
        scores: (Q, Q) log odds, higher is better; ties are broken at random.
        ks: How many of the best count.
        queries: What each query says; None where all are different.
        targets: What each target says; None where all are different.
    """
    hits = query_recall(scores, ks, queries, targets)
    return {k: float(hits[k].mean()) for k in ks}


def query_recall(
    scores: Floats,
    ks: Sequence[int] = KS,
    queries: Sequence[Hashable] | None = None,
    targets: Sequence[Hashable] | None = None,
) -> dict[int, Floats]:
    """Return k -> probability that each different query finds a target of its own among the k best; see `recall`."""
    rounded = _rounded(scores)
    asked, asks = _distinct(queries or range(len(scores)))
    offered, offers = _distinct(targets or range(len(scores)))
    right = np.zeros((len(asked), len(offered)), dtype=bool)
    right[asks, offers] = True
    # what stands n times in the gallery is n times as likely to be the right one
    odds = np.round(rounded[np.ix_(asked, offered)] + np.log(np.bincount(offers)), _DECIMALS)
    best = np.where(right, odds, -np.inf).max(axis=1, keepdims=True)
    better, tied = (odds > best).sum(axis=1), odds == best
    counts = [column.tolist() for column in (better, tied.sum(axis=1), (tied & right).sum(axis=1))]
    return {k: np.array([_drawn(own, k - b, t) for b, t, own in zip(*counts, strict=True)]) for k in ks}


def _distinct(contents: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Return where each content comes first, and the number of each one's content in that order."""
    first: dict[Hashable, int] = {}
    for place, content in enumerate(contents):
        first.setdefault(content, place)
    numbers = {content: number for number, content in enumerate(first)}
    return list(first.values()), [numbers[content] for content in contents]


def _drawn(right: int, places: int, tied: int) -> float:
    """Return how likely one of the right is among so many drawn of the tied."""
    if places <= 0:
        return 0.0
    return 1.0 - math.comb(tied - right, places) / math.comb(tied, places) if places < tied else 1.0


def factor_accuracy(scores: Floats, factors: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Return factor -> expected share of queries whose best target has the query's value of that factor."""
    rounded = _rounded(scores)
    best = rounded == rounded.max(axis=1, keepdims=True)
    found: dict[str, float] = {}
    for name in factors[0]:
        values = np.array([row[name] for row in factors])
        right = (best & (values[:, None] == values[None, :])).sum(axis=1) / best.sum(axis=1)
        found[name] = float(right.mean())
    return found


def chance(size: int, ks: Sequence[int] = KS) -> dict[int, float]:
    """Return k -> recall of guessing among ``size`` targets."""
    return {k: min(1.0, k / size) for k in ks}
