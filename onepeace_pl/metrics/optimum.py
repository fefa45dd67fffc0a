"""Guard against impossible results: a score above the known optimum is a bug (a leak, or a wrong optimum)."""

from __future__ import annotations

import math

from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.result import RetrievalResult


class AboveOptimumError(RuntimeError):
    """A score above the best achievable one: data leak, or the optimum is wrong."""


def above_optimum(recall: float, optimum: float, queries: int) -> bool:
    """Return whether recall@k exceeds the optimum by more than three standard deviations of a binomial proportion.

    The deviation is that of the optimum with one success and one failure added (Laplace), so that it is positive for
    an optimum of exactly 0 or 1 too.

    Args:
        recall: Measured recall@k in [0, 1].
        optimum: Best achievable recall@k in [0, 1].
        queries: Number of queries.
    """
    proportion = (optimum * queries + 1) / (queries + 2)
    return recall > optimum + 3 * math.sqrt(proportion * (1 - proportion) / queries)


def check_optimum(result: RetrievalResult) -> None:
    """Check a retrieval result against its optima.

    Args:
        result: Recall@k and, where known, its optimum.

    Raises:
        AboveOptimumError: Any recall@k is above its optimum, see :func:`above_optimum`.
    """
    for name, direction in result.directions.items():
        for k, optimum in direction.optimum.items():
            if k in direction.recall and above_optimum(direction.recall[k], optimum, len(direction.queries)):
                raise AboveOptimumError(
                    f"{name} R@{k} = {direction.recall[k]:.3f} on gallery {result.gallery!r} is above the "
                    f"optimum {optimum:.3f} over {len(direction.queries)} queries: one side knows too "
                    "much (a leak), or the optimum is that of another gallery"
                )


def check_reference_optimum(result: LabelledResult) -> None:
    """Check a result of labelled rows against its optima; results of a part of a set are not checked.

    Raises:
        AboveOptimumError: Any metric is above its optimum, see :func:`above_optimum`.
    """
    for name, reference in result.references.items():
        value = result.metrics.get(name)
        if value is None or reference.optimum is None or result.partial:
            continue
        if above_optimum(value, reference.optimum, result.rows):
            raise AboveOptimumError(
                f"{name} = {value:.3f} on {result.name!r} is above the optimum {reference.optimum:.3f} over "
                f"{result.rows} rows: the inputs know too much (a leak), or the optimum is that of other rows"
            )
