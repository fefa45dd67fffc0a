"""Mixed-pool retrieval: candidates of all modalities in one list, and how far one of them crowds out the others.

Shapes: N items, D width, R rows, Q queries, C candidates of all modalities, K modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.metrics.bootstrap import Interval, mean_interval
from onepeace_pl.metrics.ranking import related

Score = Callable[[str, Tensor, str, Tensor], Tensor]
"""Scores (N, M) of a query modality with vectors (N, D), and a candidate modality with vectors (M, D)."""


@dataclass(frozen=True)
class Items:
    """Distinct items of one modality; those of equal id are related, within and between modalities.

    Attributes:
        vectors: (N, D) unit vectors.
        ids: (R,) int64, id of each row of the data.
        index: (R,) int64, item of each row: one image may stand beside each of its five captions.
    """

    vectors: Tensor
    ids: Tensor
    index: Tensor


@dataclass(frozen=True)
class TargetRanks:
    """Ranks of the best related candidate of one modality, from 1; ties are pessimistic.

    Other related candidates are left out, so that each modality can reach rank 1 (filtered ranks).

    Attributes:
        queries: (Q,) the queries that have such a candidate.
        own: (Q,) ranks among the candidates of that modality alone.
        mixed: (Q,) ranks in the mixed pool.
    """

    queries: NDArray[np.int64]
    own: NDArray[np.int64]
    mixed: NDArray[np.int64]


@dataclass(frozen=True)
class MixedPool:
    """Retrieval from the mixed pool by the queries of one modality.

    Attributes:
        query: Modality of the queries.
        k: Length of the list whose composition is counted.
        available: Fraction of each modality in the pool.
        counts: (Q,) number of candidates of each modality among the first k.
        first: (Q,) rank of the best related candidate of any modality, for queries that have one.
        targets: Ranks of related candidates by their modality.
    """

    query: str
    k: int
    available: dict[str, float]
    counts: dict[str, NDArray[np.int64]]
    first: NDArray[np.int64]
    targets: dict[str, TargetRanks]

    def share(self, modality: str) -> Interval:
        """Return the fraction of a modality among the first k candidates, with its interval over queries."""
        return mean_interval(self.counts[modality] / self.k)


def cosine(query: str, queries: Tensor, target: str, candidates: Tensor) -> Tensor:
    """Return dot products (N, M): those of unit vectors, whatever their modalities."""
    return queries @ candidates.T


def mixed_pools(
    items: Mapping[str, Items], score: Score = cosine, k: int = 10, chunk: int = 1024
) -> dict[str, MixedPool]:
    """Retrieve with the queries of every modality from one pool of all items but the query itself.

    Args:
        items: Modality to its items.
        score: Score of queries and candidates.
        k: Length of the list whose composition is counted.
        chunk: Queries per chunk of the score matrix.

    Returns:
        Query modality to its result; without those whose items are related to none.

    Raises:
        UserError: The pool has not more than k candidates.
    """
    sizes = [len(each.vectors) for each in items.values()]
    if sum(sizes) <= k:
        raise UserError(f"{sum(sizes)} items in all, and a list of {k}; give more rows")
    results = {query: _retrieve(query, items, score, k, chunk) for query in items}
    return {query: result for query, result in results.items() if result.targets}


def _retrieve(query: str, items: Mapping[str, Items], score: Score, k: int, chunk: int) -> MixedPool:
    kinds = torch.cat([torch.full((len(v.vectors),), i) for i, v in enumerate(items.values())])
    starts = dict(
        zip(items, np.cumsum([0, *(len(v.vectors) for v in items.values())]).tolist(), strict=False)
    )
    pairs = _related(query, items, starts)
    mine, parts = items[query], []
    for begin in range(0, len(mine.vectors), chunk):
        queries = mine.vectors[begin : begin + chunk].float()
        scores = torch.cat([score(query, queries, n, v.vectors.float()) for n, v in items.items()], 1)
        rows = torch.arange(len(queries))
        right = torch.zeros_like(scores, dtype=torch.bool)
        inside = pairs[(pairs[:, 0] >= begin) & (pairs[:, 0] < begin + len(queries))]
        right[inside[:, 0] - begin, inside[:, 1]] = True
        selves = starts[query] + begin + rows
        right[rows, selves] = False
        scores[rows, selves] = -torch.inf
        parts.append(_ranks(scores, right, kinds, len(items), k))
    counts, first, own, mixed = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    targets = {
        name: TargetRanks(found := np.flatnonzero(mixed[:, i]), own[found, i], mixed[found, i])
        for i, name in enumerate(items)
        if mixed[:, i].any()
    }
    total = len(kinds) - 1
    return MixedPool(
        query,
        k,
        {n: (len(v.vectors) - (n == query)) / total for n, v in items.items()},
        {name: counts[:, i] for i, name in enumerate(items)},
        first[first > 0],
        targets,
    )


def _related(query: str, items: Mapping[str, Items], starts: Mapping[str, int]) -> Tensor:
    """Return pairs (P, 2) of query and candidate, the latter counted over the whole pool."""
    mine, found = items[query], []
    for name, theirs in items.items():
        ids = torch.cat([mine.ids, theirs.ids])
        # `related` takes rows that hold both a query and a candidate; one further number stands for "none"
        none = len(mine.vectors), len(theirs.vectors)
        queries = torch.cat([mine.index, torch.full_like(theirs.index, none[0])])
        candidates = torch.cat([torch.full_like(mine.index, none[1]), theirs.index])
        pairs = related(ids, queries, candidates)
        pairs = pairs[(pairs[:, 0] < none[0]) & (pairs[:, 1] < none[1])]
        found.append(pairs + pairs.new_tensor([0, starts[name]]))
    return torch.cat(found)


def _ranks(scores: Tensor, right: Tensor, kinds: Tensor, number: int, k: int) -> tuple[Tensor, ...]:
    """Return counts (Q, K) of the first k, first ranks (Q,), and own and mixed ranks (Q, K); 0 for no candidate."""
    top = kinds[scores.topk(k, dim=1).indices]
    counts = torch.stack([(top == kind).sum(1) for kind in range(number)], 1)

    def rank(of: Tensor, among: Tensor) -> Tensor:
        best = scores.masked_fill(~of, -torch.inf).amax(1, keepdim=True)
        return ((~(scores < best) & among & ~right).sum(1) + 1) * of.any(1)

    everything = torch.ones_like(right)
    own = torch.stack([rank(right & (kinds == i), (kinds == i).expand_as(right)) for i in range(number)], 1)
    mixed = torch.stack([rank(right & (kinds == i), everything) for i in range(number)], 1)
    return counts, rank(right, everything), own, mixed
