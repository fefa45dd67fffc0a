"""Ranks of the positives among all candidates, in chunks of queries: the similarity matrix is never materialised.

Shapes: Q queries, C candidates, D width, T top candidates kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from onepeace_pl.errors import UserError

Similarity = Callable[[Tensor, Tensor], Tensor]
"""Scores (Q, C) of queries (Q, ...) and candidates (C, ...), greater where they are more alike."""


def dot_product(queries: Tensor, candidates: Tensor) -> Tensor:
    """Return the dot products (Q, C) of vectors (Q, D) and (C, D)."""
    return queries @ candidates.T


@dataclass
class Ranking:
    """Ranking of candidates for a set of queries.

    Attributes:
        ranks: (Q,) int64, rank of the best positive, counted from 1. Ties are pessimistic: negatives of the same
            score rank first, so that a collapsed model does not look good.
        top: (Q, T) int64, the T best candidates, best first.
        scores: (Q, T) float32, their scores.
        right: (Q, T) bool, whether they are positives.
        positives: (Q,) int64, number of positives of each query.
    """

    ranks: Tensor
    top: Tensor
    scores: Tensor
    right: Tensor
    positives: Tensor


def related(ids: Tensor, queries: Tensor, candidates: Tensor) -> Tensor:
    """Return the positive pairs: a query and a candidate of which any rows have equal ids.

    Args:
        ids: (N,) int64, id of each row.
        queries: (N,) int64, index of the query of each row.
        candidates: (N,) int64, index of the candidate of each row.

    Returns:
        (P, 2) int64, distinct pairs of query and candidate in ascending order.
    """
    ids = torch.unique(ids, return_inverse=True)[1]
    left, right = (torch.unique(torch.stack([ids, side], 1), dim=0) for side in (queries, candidates))
    counts = torch.bincount(right[:, 0])
    many = counts[left[:, 0]]  # candidates for each (id, query)
    start = (counts.cumsum(0) - counts)[left[:, 0]] - (many.cumsum(0) - many)
    place = torch.arange(int(many.sum()), device=ids.device) + start.repeat_interleave(many)
    pairs = torch.stack([left[:, 1].repeat_interleave(many), right[place, 1]], 1)
    distinct: Tensor = torch.unique(pairs, dim=0)
    return distinct


def rank(
    queries: Tensor,
    candidates: Tensor,
    pairs: Tensor,
    keep: int = 10,
    chunk: int = 1024,
    similarity: Similarity = dot_product,
) -> Ranking:
    """Rank all candidates for every query by their similarity in float32.

    A query may have several positives (five captions of one image); the best of them counts. NaN scores count as
    misses.

    Args:
        queries: (Q, D), or whatever the similarity takes.
        candidates: (C, D), the same.
        pairs: (P, 2) int64, indices of a query and of a positive candidate, in ascending order.
        keep: Number T of top candidates to return, at most C.
        chunk: Queries per chunk.
        similarity: Similarity of a chunk of queries and all candidates.

    Returns:
        The ranking, on the device of the inputs.

    Raises:
        UserError: A query has no positive.
    """
    keep = min(keep, len(candidates))
    wide, asked = candidates.float(), pairs[:, 0].contiguous()
    parts: list[tuple[Tensor, ...]] = []
    limits = torch.finfo(wide.dtype)
    for start in range(0, len(queries), chunk):
        scores = similarity(queries[start : start + chunk].float(), wide)
        first, last = torch.searchsorted(asked, asked.new_tensor([start, start + chunk])).tolist()
        right = torch.zeros_like(scores, dtype=torch.bool)
        right[asked[first:last] - start, pairs[first:last, 1]] = True
        best = scores.masked_fill(~right, -math.inf).amax(1, keepdim=True)
        # "Not below" rather than "at least": true for NaN.
        before = (~(scores < best) & ~right).sum(1)
        # negatives of the same score first here, too: positives are lowered by a unit in the last place
        lowered = scores - scores.abs() * limits.eps - limits.tiny
        top = torch.where(right, lowered, scores).topk(keep, dim=1).indices
        parts.append((before + 1, top, scores.gather(1, top), right.gather(1, top), right.sum(1)))
    ranks, top, scores, right, positives = (torch.cat(part) for part in zip(*parts, strict=True))
    unpaired = (positives == 0).sum().item()
    if unpaired:
        raise UserError(
            f"{unpaired} of {len(queries)} queries have no positive candidate; give both sides the same ids"
        )
    return Ranking(ranks, top, scores, right, positives)


def chance_recall(positives: Iterable[int], candidates: int, ks: Iterable[int]) -> dict[int, float]:
    """Expected recall@k of random candidates.

    Args:
        positives: Number of positives of each query.
        candidates: Number of all candidates.
        ks: Cut-offs.

    Returns:
        k -> expected fraction of queries with a positive among k candidates drawn without replacement.
    """
    counts: dict[int, int] = {}
    for n in positives:
        counts[n] = counts.get(n, 0) + 1
    queries = sum(counts.values())
    return {
        k: sum(many * (1 - _none_right(n, candidates, k)) for n, many in counts.items()) / queries for k in ks
    }


def _none_right(right: int, candidates: int, k: int) -> float:
    if k > candidates - right:
        return 0.0
    return math.comb(candidates - right, k) / math.comb(candidates, k)
