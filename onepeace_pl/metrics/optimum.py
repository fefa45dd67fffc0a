"""A result better than the best achievable one is a bug, and is treated as one."""

from __future__ import annotations

import math

from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.result import RetrievalResult


class AboveOptimumError(RuntimeError):
    """A recall above what any model can reach: the data leak, or the optimum is wrong."""


def above_optimum(recall: float, optimum: float, queries: int) -> bool:
    """Whether a recall exceeds the optimum by more than three standard deviations of a share of so many
    queries.

    The deviation is that of the optimum with one success and one failure added, so that an optimum of exactly
    0 or 1 leaves room for luck too.

    Args:
        recall: Measured R@k in [0, 1].
        optimum: Best achievable R@k in [0, 1].
        queries: Number of queries.
    """
    share = (optimum * queries + 1) / (queries + 2)
    return recall > optimum + 3 * math.sqrt(share * (1 - share) / queries)


def check_optimum(result: RetrievalResult) -> None:
    """Refuse a result that is too good to be true.

    Args:
        result: Recalls and, where known, their optima.

    Raises:
        AboveOptimumError: If any recall is above its optimum, see :func:`above_optimum`.
    """
    for name, direction in result.directions.items():
        for k, optimum in direction.optimum.items():
            if k in direction.recall and above_optimum(direction.recall[k], optimum, len(direction.queries)):
                raise AboveOptimumError(
                    f"{name} R@{k} = {direction.recall[k]:.3f} on gallery {result.gallery!r} is above the "
                    f"optimum {optimum:.3f} over {len(direction.queries)} queries: one side knows too "
                    "much (a leak), or the optimum is that of another gallery"
                )


def check_share(result: LabelledResult) -> None:
    """Refuse a result on labelled rows that is too good to be true; a part of a set is not judged.

    Raises:
        AboveOptimumError: If any share is above its optimum, see :func:`above_optimum`.
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
