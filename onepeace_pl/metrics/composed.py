"""Composed queries: recall@k of the joint pass beside that of the sum of the parts, and of each part alone.

Shapes: Q queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onepeace_pl.metrics.bootstrap import mean_interval
from onepeace_pl.metrics.result import JOINT, ComposedResult, DirectionResult, RetrievalResult, VectorRecall

SUM, ALONE = "sum", "_alone"


def vector_names(*sides: Sequence[str]) -> list[str]:
    """Return the vectors that composed sides can have: ``audio_alone``, ``text_alone``, ``sum``, ``joint``.

    A side of one modality has one vector only; without composed sides there is ``joint`` alone.
    """
    parts = [f"{modality}{ALONE}" for side in sides if len(side) > 1 for modality in side]
    return [*dict.fromkeys(parts), *([SUM] if parts else []), JOINT]


def compare_vectors(results: Mapping[str, RetrievalResult], default: str = JOINT) -> RetrievalResult:
    """Return the result of the model's default vector; its directions hold those of the other vectors, too.

    Args:
        results: Results of the same gallery by :func:`vector_names`.
        default: The vector that ``encode`` gives by default, ``sum`` or ``joint``.
    """
    if len(results) == 1:
        return results[JOINT]
    for name, direction in results[default].directions.items():
        direction.composed = _compared(
            {vector: result.directions[name] for vector, result in results.items()}, default
        )
    return results[default]


def _compared(directions: Mapping[str, DirectionResult], default: str) -> ComposedResult:
    joint, total = directions[JOINT], directions[SUM]
    return ComposedResult(
        {
            name: VectorRecall({k: d.interval(k) for k in d.recall}, d.optimum, d.median_rank, d.ndcg)
            for name, d in directions.items()
        },
        {k: mean_interval((joint.ranks <= k) - 1.0 * (total.ranks <= k)) for k in joint.recall},
        default,
    )
