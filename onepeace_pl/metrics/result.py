"""What an evaluation of retrieval found: numbers, and enough to show them with the gallery's rows.

Shapes: Q queries, C candidates, T leading candidates kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class GroupRecall:
    """Recall over the queries of one group, against all candidates.

    Attributes:
        count: Number of queries.
        recall: k -> R@k.
    """

    count: int
    recall: dict[int, float]


@dataclass
class FactorAccuracy:
    """How often the first answer agrees with the query in one factor.

    Attributes:
        count: Number of queries that have a value.
        accuracy: Share of them whose first answer has the same value.
        chance: The same for a random answer.
    """

    count: int
    accuracy: float
    chance: float


@dataclass
class DirectionResult:
    """Retrieval of one side of a gallery with the other.

    Attributes:
        query: Modalities of the query; several make one joint query.
        target: Modalities of the candidates.
        recall: k -> R@k.
        chance: k -> R@k of random answers.
        optimum: k -> best achievable R@k; empty where it is not known.
        variants: Name -> k -> R@k, other optima worth naming.
        queries: (Q,) row of the gallery of each query.
        candidates: (C,) row of the gallery of each candidate.
        ranks: (Q,) rank of the best right candidate, from 1.
        top: (Q, T) rows of the gallery of the leading candidates, best first.
        scores: (Q, T) float32 their scores.
        right: (Q, T) bool, whether they are right.
        groups: Group -> recall over its queries.
        factors: Factor -> accuracy of the first answer.
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
    groups: dict[str, GroupRecall] = field(default_factory=dict)
    factors: dict[str, FactorAccuracy] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The direction, for instance ``audio+text->image``."""
        return f"{'+'.join(self.query)}->{'+'.join(self.target)}"


@dataclass
class RetrievalResult:
    """Retrieval on one gallery.

    Attributes:
        gallery: Name of the gallery.
        directions: Name of the direction -> result.
        partial: Only a part of the gallery was evaluated, so the numbers say little.
        duplicates: Side -> number of its items that are equal by content to an earlier one.
        merged: They count as one with it; else apart.
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
        """Mean of all R@k of all directions, the usual single number of a retrieval model."""
        return float(np.mean([value for d in self.directions.values() for value in d.recall.values()]))

    def scalars(self) -> dict[str, float]:
        """Return the numbers to log: ``mean_recall``, ``image->text/R@1``, ``image->text/novel/R@1`` ..."""
        found = {"mean_recall": self.mean_recall}
        for name, direction in self.directions.items():
            found |= {f"{name}/R@{k}": value for k, value in direction.recall.items()}
            for group, part in direction.groups.items():
                found |= {f"{name}/{group}/R@{k}": value for k, value in part.recall.items()}
            found |= {f"{name}/{factor}": f.accuracy for factor, f in direction.factors.items() if f.count}
        return found
