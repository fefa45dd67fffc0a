"""Cross-modal retrieval metric: recall@k in both directions, by group and by factor.

Shapes: B rows of a batch, D width, Q queries, C candidates, T top candidates kept.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from onepeace_pl.data.loading.content import digest
from onepeace_pl.errors import UserError
from onepeace_pl.metrics.optimum import check_optimum
from onepeace_pl.metrics.ranking import Similarity, chance_recall, dot_product, rank, related
from onepeace_pl.metrics.result import DirectionResult, FactorAccuracy, GroupRecall, RetrievalResult

ByDirection = Mapping[str, Mapping[int, float]]
Indices = NDArray[np.int64]


class RetrievalMetric(Metric):
    """Recall@k of a gallery, whose embeddings are gathered over batches and ranks.

    Rows that a distributed sampler repeats count once, by their index in the gallery. Rows of equal id are positives
    of each other. Where they also hold the same item (one image beside each of its five captions), name its modality
    in ``one_per_id``, and it counts once. Duplicates by content under different ids (a caption of two images) count as
    one query, and one candidate that is positive for all of them.

    Args:
        query: Modalities of the query side; several form one composed query.
        target: Modalities of the target side.
        name: Name of the gallery; by default both sides' names joined by an underscore.
        both_directions: Also retrieve queries by targets.
        ks: Cut-offs of recall@k.
        one_per_id: Modalities of which rows with equal id hold the same item.
        rows: Number of rows in the gallery. A run over fewer (a sanity check) is marked as partial, and
            is not compared with the optimum, which is that of the whole gallery.
        optimum: Direction (``image->text``) -> k -> best achievable R@k.
        optimum_variants: The same by name, under other assumptions, for instance without one factor.
        groups: Group of each gallery row, ``seen`` or ``novel``.
        factors: Value of each row by factor (None if it has none). The accuracy of a factor is the fraction of
            queries whose first candidate has the query's value.
        merge_duplicates: Count items of equal content as one, where `update` receives contents. False counts each
            item, and only reports the number of duplicates.
        keep: Top candidates kept of each query, for the gallery image.
        chunk: Queries per chunk of the similarity matrix.
        similarity: Similarity of two sides; by default the dot product. With
            :func:`~onepeace_pl.nn.late_interaction.maxsim`, rows are (B, L, D), of the same L in all batches.
    """

    full_state_update = False
    query_rows: list[Tensor]
    target_rows: list[Tensor]
    query_contents: list[Tensor]
    target_contents: list[Tensor]
    ids: list[Tensor]
    indices: list[Tensor]

    def __init__(
        self,
        query: Sequence[str],
        target: Sequence[str],
        *,
        name: str | None = None,
        both_directions: bool = True,
        ks: Sequence[int] = (1, 5, 10),
        one_per_id: Collection[str] = (),
        rows: int | None = None,
        optimum: ByDirection | None = None,
        optimum_variants: Mapping[str, ByDirection] | None = None,
        groups: Sequence[str] | None = None,
        factors: Mapping[str, Sequence[Hashable]] | None = None,
        merge_duplicates: bool = True,
        keep: int = 10,
        chunk: int = 1024,
        similarity: Similarity = dot_product,
    ) -> None:
        super().__init__()
        unknown = set(one_per_id) - {*query, *target}
        if unknown:
            held = ", ".join((*query, *target))
            raise UserError(f"one_per_id names {sorted(unknown)[0]!r}, but the gallery holds {held}")
        self.query, self.target = tuple(query), tuple(target)
        self.name = name or f"{'+'.join(query)}_{'+'.join(target)}"
        self.both_directions = both_directions
        self.ks = tuple(ks)
        self.one_per_id = frozenset(one_per_id)
        self.rows = rows
        self.optimum = optimum or {}
        self.optimum_variants = optimum_variants or {}
        self.groups = groups
        self.factors = factors or {}
        self.merge_duplicates = merge_duplicates
        self.keep = keep
        self.chunk = chunk
        self.similarity = similarity
        for state in ("query_rows", "target_rows", "query_contents", "target_contents", "ids", "indices"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(
        self,
        query: Tensor,
        target: Tensor,
        ids: Sequence[str],
        indices: Tensor,
        contents: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Add the embeddings of a batch.

        Args:
            query: (B, D) unit vectors of the query side.
            target: (B, D) unit vectors of the target side, row by row.
            ids: B ids.
            indices: (B,) int64, row of each in the gallery.
            contents: (B,) int64 content hashes of either side; None if unknown.

        Raises:
            UserError: The four differ in length.
        """
        lengths = {len(query), len(target), len(ids), len(indices)}
        if len(lengths) > 1:
            raise UserError(
                f"a batch has {len(query)} query and {len(target)} target embeddings, "
                f"{len(ids)} ids and {len(indices)} indices; all must be as many"
            )
        self.query_rows.append(query.detach().float())
        self.target_rows.append(target.detach().float())
        numbers = torch.tensor([digest([i.encode()]) for i in ids], dtype=torch.int64, device=query.device)
        self.ids.append(numbers)
        self.indices.append(indices.to(query.device))
        unknown = [
            numbers if self.one_per_id.issuperset(side) else self.indices[-1]
            for side in (self.query, self.target)
        ]
        for known, content in zip(
            (self.query_contents, self.target_contents), contents or unknown, strict=True
        ):
            known.append(content.to(query.device))

    def compute(self) -> RetrievalResult:
        """Compute recall@k over all ranks.

        Returns:
            The result of each direction.

        Raises:
            UserError: The gallery is empty.
            AboveOptimumError: A recall@k is significantly above its optimum.
        """
        if not len(self.indices):  # a list, or one tensor once ranks have been gathered
            raise UserError(f"gallery {self.name!r} is empty: no row was evaluated")
        indices, first = _first_occurrences(dim_zero_cat(self.indices))
        ids = dim_zero_cat(self.ids)[first]
        partial = self.rows is not None and len(indices) < self.rows
        result = RetrievalResult(self.name, {}, partial, merged=self.merge_duplicates)
        sides = []
        for side, rows, contents in (
            (self.query, self.query_rows, self.query_contents),
            (self.target, self.target_rows, self.target_contents),
        ):
            apart = _Items.of(ids if self.one_per_id.issuperset(side) else indices)
            distinct = _Items.of(dim_zero_cat(contents)[first])
            result.duplicates["+".join(side)] = max(0, len(apart.rows) - len(distinct.rows))
            items = distinct if self.merge_duplicates else apart
            sides.append((side, dim_zero_cat(rows)[first], items))
        pairs = [(0, 1), (1, 0)] if self.both_directions else [(0, 1)]
        for here, there in pairs:
            direction = self._retrieve(sides[here], sides[there], ids, indices, partial)
            result.directions[direction.name] = direction
        check_optimum(result)
        return result

    def _retrieve(
        self,
        side: tuple[tuple[str, ...], Tensor, _Items],
        other: tuple[tuple[str, ...], Tensor, _Items],
        ids: Tensor,
        indices: Tensor,
        partial: bool,
    ) -> DirectionResult:
        asked, offered = side[2].rows, other[2].rows
        pairs = related(ids, side[2].numbers, other[2].numbers)
        found = rank(
            side[1][asked], other[1][offered], pairs, max(self.keep, *self.ks), self.chunk, self.similarity
        )
        direction = f"{'+'.join(side[0])}->{'+'.join(other[0])}"
        queries, candidates = indices[asked].cpu().numpy(), indices[offered].cpu().numpy()
        ranks, top = found.ranks.cpu().numpy(), candidates[found.top.cpu().numpy()]
        variants = {
            name: dict(known[direction])
            for name, known in self.optimum_variants.items()
            if direction in known
        }
        return DirectionResult(
            query=side[0],
            target=other[0],
            recall=_recall(ranks, self.ks),
            chance=chance_recall(found.positives.tolist(), len(candidates), self.ks),
            optimum={} if partial else dict(self.optimum.get(direction, {})),
            variants={} if partial else variants,
            queries=queries,
            candidates=candidates,
            ranks=ranks,
            top=top,
            scores=found.scores.cpu().numpy(),
            right=found.right.cpu().numpy(),
            positives=found.positives.cpu().numpy(),
            groups=self._by_group(queries, ranks),
            factors={
                name: _factor(values, queries, candidates, top) for name, values in self.factors.items()
            },
        )

    def _by_group(self, queries: Indices, ranks: Indices) -> dict[str, GroupRecall]:
        if self.groups is None:
            return {}
        names = np.asarray([self.groups[i] for i in queries.tolist()])
        return {
            str(name): GroupRecall(int((names == name).sum()), _recall(ranks[names == name], self.ks))
            for name in dict.fromkeys(self.groups)
            if (names == name).any()
        }


class _Items(NamedTuple):
    """Distinct items of one side, in the order of rows.

    Attributes:
        rows: First row of each item.
        numbers: Item of each row.
    """

    rows: Tensor
    numbers: Tensor

    @classmethod
    def of(cls, keys: Tensor) -> Self:
        """Return the distinct items of the keys (N,) of rows."""
        _, inverse = torch.unique(keys, return_inverse=True)
        rows, order = _first_occurrences(keys)[1].sort()
        return cls(rows, order.argsort()[inverse])


def _first_occurrences(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return distinct values in ascending order, and their first indices."""
    distinct, inverse = torch.unique(values, return_inverse=True)
    order = torch.arange(len(values) - 1, -1, -1, device=values.device)
    first = torch.empty_like(distinct).scatter_reduce_(0, inverse.flip(0), order, "amin", include_self=False)
    return distinct, first


def _recall(ranks: Indices, ks: Sequence[int]) -> dict[int, float]:
    return {k: float((ranks <= k).mean()) for k in ks}


def _factor(
    values: Sequence[Hashable], queries: Indices, candidates: Indices, top: Indices
) -> FactorAccuracy:
    """Return the accuracy of a factor, and that of random candidates."""
    query_values = [values[i] for i in queries.tolist()]
    counts: dict[Hashable, int] = {}
    for i in candidates.tolist():
        counts[values[i]] = counts.get(values[i], 0) + 1
    valued = [i for i, value in enumerate(query_values) if value is not None]
    if not valued:
        return FactorAccuracy(0, float("nan"), float("nan"))
    first = top[:, 0].tolist()
    hits = sum(query_values[i] == values[first[i]] for i in valued)
    chance = sum(counts.get(query_values[i], 0) for i in valued) / len(candidates)
    return FactorAccuracy(len(valued), hits / len(valued), chance / len(valued))
