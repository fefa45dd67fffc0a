"""Retrieval results: recall@k, with the ranks and top candidates that reports and galleries show.

Shapes: Q queries, C candidates, T top candidates kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.metrics.bootstrap import Interval, mean_interval

JOINT = "joint"
NDCG_AT = 10


@dataclass
class GroupRecall:
    """Recall@k over the queries of one group, against all candidates.

    Attributes:
        count: Number of queries.
        recall: R@k by k.
    """

    count: int
    recall: dict[int, float]


@dataclass
class FactorAccuracy:
    """Accuracy of one factor: the first candidate has the query's value.

    Attributes:
        count: Number of queries that have a value.
        accuracy: Fraction of them whose first candidate has the same value.
        chance: The same for a random candidate.
    """

    count: int
    accuracy: float
    chance: float


@dataclass
class VectorRecall:
    """Recall@k of composed queries by one of their vectors.

    Attributes:
        recall: R@k with its interval over queries, by k.
        optimum: Best achievable R@k from what the vector has seen, by k; empty if unknown.
        median_rank: Median rank of the best positive.
        ndcg: nDCG@10.
    """

    recall: dict[int, Interval]
    optimum: dict[int, float]
    median_rank: float
    ndcg: float


@dataclass
class ComposedResult:
    """Retrieval with composed queries by each of their vectors.

    Attributes:
        vectors: Recall@k by vector: ``audio_alone``, ``text_alone``, ``sum``, ``joint``.
        difference: R@k of the joint pass minus that of the sum, paired by query, by k.
        default: The vector that ``encode`` gives by default, whose recall is that of the direction.
    """

    vectors: dict[str, VectorRecall]
    difference: dict[int, Interval]
    default: str = JOINT


@dataclass
class DirectionResult:
    """Retrieval in one direction, such as image to text.

    Attributes:
        query: Modalities of the query; several form one composed query.
        target: Modalities of the candidates.
        recall: R@k by k.
        chance: R@k of random candidates, by k.
        optimum: Best achievable R@k by k; empty if unknown.
        variants: Further optima, R@k by name and k.
        queries: (Q,) gallery row of each query.
        candidates: (C,) gallery row of each candidate.
        ranks: (Q,) rank of the best positive, from 1.
        top: (Q, T) gallery rows of the top candidates, best first.
        scores: (Q, T) float32 their scores.
        right: (Q, T) bool, whether they are positives.
        positives: (Q,) number of positives of each query.
        groups: Recall@k by group of queries.
        factors: Accuracy of the first candidate by factor.
        composed: Recall by every vector of a composed side; None where each side is of one modality.
    """

    query: tuple[str, ...]
    target: tuple[str, ...]
    recall: dict[int, float]
    chance: dict[int, float]
    optimum: dict[int, float]
    variants: dict[str, dict[int, float]]
    queries: NDArray[np.int64]
    candidates: NDArray[np.int64]
    ranks: NDArray[np.int64]
    top: NDArray[np.int64]
    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    positives: NDArray[np.int64]
    groups: dict[str, GroupRecall] = field(default_factory=dict)
    factors: dict[str, FactorAccuracy] = field(default_factory=dict)
    composed: ComposedResult | None = None

    @property
    def name(self) -> str:
        """Name of the direction, such as ``audio+text->image``."""
        return f"{'+'.join(self.query)}->{'+'.join(self.target)}"

    @property
    def median_rank(self) -> float:
        """Median rank of the best positive, from 1."""
        return float(np.median(self.ranks))

    @property
    def ndcg(self) -> float:
        """nDCG@10: normalised discounted cumulative gain of the top candidates, positives having a gain of 1."""
        discounts = 1 / np.log2(np.arange(2, NDCG_AT + 2))
        top = self.right[:, :NDCG_AT]
        ideal = np.cumsum(discounts)[np.minimum(self.positives, NDCG_AT) - 1]
        return float((top @ discounts[: top.shape[1]] / ideal).mean())

    def interval(self, k: int) -> Interval:
        """Return R@k with its 95 % bootstrap interval over queries."""
        return mean_interval(self.ranks <= k)

    def others(self) -> dict[str, VectorRecall]:
        """Return the vectors of a composed query but for the default one, whose recall is ``recall``."""
        if self.composed is None:
            return {}
        return {
            name: vector for name, vector in self.composed.vectors.items() if name != self.composed.default
        }


@dataclass
class RetrievalResult:
    """Retrieval on one gallery.

    Attributes:
        gallery: Name of the gallery.
        directions: Results by direction.
        partial: Only a part of the gallery was evaluated.
        duplicates: Number of duplicates by content on each side.
        merged: Whether duplicates count as one item.
    """

    gallery: str
    directions: dict[str, DirectionResult]
    partial: bool = False
    duplicates: dict[str, int] = field(default_factory=dict)
    merged: bool = True

    @property
    def name(self) -> str:
        """Name of the gallery."""
        return self.gallery

    @property
    def mean_recall(self) -> float:
        """Mean recall: the mean of R@k over all k and directions."""
        return float(np.mean([value for d in self.directions.values() for value in d.recall.values()]))

    def scalars(self) -> dict[str, float]:
        """Return the scalars to log: ``mean_recall``, ``image->text/R@1``, ``image->text/median_rank`` ..."""
        scalars = {"mean_recall": self.mean_recall}
        for name, direction in self.directions.items():
            scalars |= {f"{name}/R@{k}": value for k, value in direction.recall.items()}
            scalars |= {
                f"{name}/median_rank": direction.median_rank,
                f"{name}/nDCG@{NDCG_AT}": direction.ndcg,
            }
            for group, part in direction.groups.items():
                scalars |= {f"{name}/{group}/R@{k}": value for k, value in part.recall.items()}
            scalars |= {f"{name}/{factor}": f.accuracy for factor, f in direction.factors.items() if f.count}
            for vector, by in direction.others().items():
                scalars |= {f"{name}/{vector}/R@{k}": interval.value for k, interval in by.recall.items()}
                scalars |= {
                    f"{name}/{vector}/median_rank": by.median_rank,
                    f"{name}/{vector}/nDCG@{NDCG_AT}": by.ndcg,
                }
        return scalars
