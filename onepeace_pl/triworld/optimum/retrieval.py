"""Bayes-optimal retrieval: the best achievable recall@k of a gallery, ties broken at random.

A query and a target match with odds p(target | query) / p(target). Captions omit factors at random, so a more
detailed caption has higher odds for a consistent scene: a rule that only tests consistency is worse. Recall is the
expected fraction of queries whose own target is among the k best.

Shapes: Q queries, T targets.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

import numpy as np

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.language.captions import Content, MentionRates, without_factors
from onepeace_pl.triworld.optimum.likelihood import Factors, content_likelihood, content_marginal
from onepeace_pl.triworld.world.factors import AUDIBLE, VISIBLE
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.numerics import Floats
from onepeace_pl.triworld.world.scene import Scene

KS: Final = (1, 5, 10)
MODALITY_FACTORS: Final[dict[str, frozenset[str]]] = {"image": VISIBLE, "audio": AUDIBLE}
_DECIMALS: Final = 9  # scores that differ by rounding errors are ties


def caption_scores(
    contents: Sequence[Content],
    scenes: Sequence[Scene],
    rates: MentionRates,
    law: Law,
    modality: str,
    unlearnt: frozenset[str] = frozenset(),
) -> Floats:
    """Return (contents, scenes) log p(content | scene) / p(content), -inf where the content is false.

    Args:
        contents: Contents of the captions.
        scenes: The scenes.
        rates: Mention rates of the captions.
        law: Law of the scenes.
        modality: ``"image"`` or ``"audio"``; factors that it does not show are marginalised.
        unlearnt: Factors whose words the text encoder has not learned; the optimum is then without them.
    """
    known = frozenset(MODALITY_FACTORS[modality])
    hidden = frozenset({"colour", "place", "background", "rhythm", "order"}) - known
    rates = rates.without(unlearnt)
    known_contents = [without_factors(content, unlearnt) for content in contents]
    scores = np.full((len(contents), len(scenes)), -np.inf)
    with np.errstate(divide="ignore"):
        base = np.log([content_marginal(content, rates, law) for content in known_contents])
        for count in {len(scene.objects) for scene in scenes}:
            columns = [i for i, scene in enumerate(scenes) if len(scene.objects) == count]
            factors = Factors.of([scenes[i] for i in columns], law, hidden)
            for row, content in enumerate(known_contents):
                scores[row, columns] = np.log(content_likelihood(content, factors, rates)) - base[row]
    return scores


def audio_image_scores(queries: Sequence[Scene], targets: Sequence[Scene]) -> Floats:
    """Return (Q, T) log odds of audio and images: 0 where kinds and sizes agree, -inf elsewhere.

    Kind, size and count are all that both show, and given these the rest is independent, so that consistent targets
    are tied: for one query p(target | query) / p(target) is the same for all of them.
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
        raise UserError(f"scores of shape {scores.shape}: row i must be a query and column i its own target")
    return np.round(scores, _DECIMALS)


def recall(
    scores: Floats,
    ks: Sequence[int] = KS,
    queries: Sequence[Hashable] | None = None,
    targets: Sequence[Hashable] | None = None,
) -> dict[int, float]:
    """Return k -> expected recall@k: query i (row) has target i (column).

    Queries of equal content count as one with several targets, and so do targets of equal content.

    Args:
        scores: (Q, Q) log odds, higher is better; ties are broken at random.
        ks: Cut-offs.
        queries: Content of each query; None where all are different.
        targets: Content of each target; None where all are different.
    """
    hits = query_recall(scores, ks, queries, targets)
    return {k: float(hits[k].mean()) for k in ks}


def query_recall(
    scores: Floats,
    ks: Sequence[int] = KS,
    queries: Sequence[Hashable] | None = None,
    targets: Sequence[Hashable] | None = None,
) -> dict[int, Floats]:
    """Return k -> expected recall@k of each distinct query; see `recall`."""
    rounded = _rounded(scores)
    asked, asks = _distinct(queries or range(len(scores)))
    offered, offers = _distinct(targets or range(len(scores)))
    right = np.zeros((len(asked), len(offered)), dtype=bool)
    right[asks, offers] = True
    # a target that occurs n times has n times the odds
    odds = np.round(rounded[np.ix_(asked, offered)] + np.log(np.bincount(offers)), _DECIMALS)
    best = np.where(right, odds, -np.inf).max(axis=1, keepdims=True)
    better, tied = (odds > best).sum(axis=1), odds == best
    counts = [column.tolist() for column in (better, tied.sum(axis=1), (tied & right).sum(axis=1))]
    return {k: np.array([_drawn(own, k - b, t) for b, t, own in zip(*counts, strict=True)]) for k in ks}


def _distinct(contents: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Return the first index of each distinct content, and the number of every row's content."""
    first: dict[Hashable, int] = {}
    for place, content in enumerate(contents):
        first.setdefault(content, place)
    numbers = {content: number for number, content in enumerate(first)}
    return list(first.values()), [numbers[content] for content in contents]


def _drawn(right: int, places: int, tied: int) -> float:
    """Return the probability that a correct one is among ``places`` drawn from the tied ones."""
    if places <= 0:
        return 0.0
    return 1.0 - math.comb(tied - right, places) / math.comb(tied, places) if places < tied else 1.0


def factor_accuracy(scores: Floats, factors: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Return factor -> expected accuracy: the best target has the query's value of that factor."""
    rounded = _rounded(scores)
    best = rounded == rounded.max(axis=1, keepdims=True)
    found: dict[str, float] = {}
    for name in factors[0]:
        values = np.array([row[name] for row in factors])
        right = (best & (values[:, None] == values[None, :])).sum(axis=1) / best.sum(axis=1)
        found[name] = float(right.mean())
    return found


def chance(size: int, ks: Sequence[int] = KS) -> dict[int, float]:
    """Return k -> recall@k of random guessing among ``size`` targets."""
    return {k: min(1.0, k / size) for k in ks}
