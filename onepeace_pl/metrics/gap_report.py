"""Report of the modality gap: its size, and what it does to retrieval from a mixed pool, before and after a remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.metrics.bootstrap import Interval, mean_interval
from onepeace_pl.metrics.mixed_pool import Items, MixedPool, Score, cosine, mixed_pools
from onepeace_pl.metrics.modality_gap import centroid_distances, probe_accuracy


@dataclass(frozen=True)
class Measurement:
    """A number of the report with its 95 % interval.

    Attributes:
        name: What it measures.
        interval: Mean and interval.
        values: (Q,) value of each query, for paired differences; None where there are no queries.
    """

    name: str
    interval: Interval
    values: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, name: str, values: NDArray[np.float64] | NDArray[np.bool_]) -> Measurement:
        """Return the mean over queries."""
        return cls(name, mean_interval(values), values.astype(np.float64))


def gap_report(
    items: Mapping[str, Items], score: Score = cosine, ks: Sequence[int] = (1, 10)
) -> list[Measurement]:
    """Measure centroid distances, a linear probe, and retrieval from a pool that mixes all modalities.

    Args:
        items: Modality to its items.
        score: Score of queries and candidates, which may depend on their modalities.
        ks: Cut-offs of recall@k; the composition of the list is that of the largest.
    """
    vectors = {name: each.vectors for name, each in items.items()}
    gaps = [
        Measurement(f"centroid distance {a}-{b}", interval)
        for (a, b), interval in centroid_distances(vectors).items()
    ]
    probe = Measurement(f"probe accuracy (chance {1 / len(items):.3f})", probe_accuracy(vectors))
    pools = mixed_pools(items, score, max(ks))
    return [*gaps, probe, *(each for pool in pools.values() for each in _of_pool(pool, ks))]


def paired_differences(after: Sequence[Measurement], before: Sequence[Measurement]) -> list[Interval | None]:
    """Return the differences of two reports on the same items, paired by query; None where there are no queries."""
    return [
        None if one.values is None or two.values is None else mean_interval(one.values - two.values)
        for one, two in zip(after, before, strict=True)
    ]


def _of_pool(pool: MixedPool, ks: Sequence[int]) -> list[Measurement]:
    found = [
        Measurement.of(
            f"{pool.query}: {name} in the top {pool.k} ({pool.available[name]:.3f} of the pool)",
            counts / pool.k,
        )
        for name, counts in pool.counts.items()
    ]
    if len(pool.targets) > 1:
        found += [Measurement.of(f"{pool.query}->any R@{k}, mixed", pool.first <= k) for k in ks]
    for name, ranks in pool.targets.items():
        for k in ks:
            direction = f"{pool.query}->{name} R@{k}"
            found.append(Measurement.of(f"{direction}, mixed", ranks.mixed <= k))
            found.append(Measurement.of(f"{direction}, {name} only", ranks.own <= k))
    return found
