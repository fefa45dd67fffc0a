"""Relative position bias: a learnable number for each head and each bucket of (query, key) positions.

Buckets are computed once for each length; a bias is one look-up a forward, shared by the batch
(docs/reference/model.md). Index 0 of every sequence is the CLS token; its row, column and corner have buckets of their
own at the end of the table, in that order.

Shapes: B batch, H heads, L tokens, K visible tokens, R rows of a table.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError


class Buckets(Protocol):
    """Assignment of a bucket to each pair of positions of a sequence."""

    @property
    def rows(self) -> int:
        """Number of buckets R."""

    @property
    def original_length(self) -> int:
        """Length for which the original keeps a table of buckets in its checkpoints."""

    def index(self, length: int) -> Tensor:
        """Bucket of each pair of positions, (L, L) int64, query rows and key columns."""


class SequenceBuckets:
    """Signed distance along a sequence: exact up to half the bucket count, logarithmic beyond.

    Any length is served; the farthest distances of the original's 1024 positions share the last bucket.

    Args:
        buckets: Half the number of distance buckets, 256 for text and 512 for audio in the released model.
        reach: Distance at which the logarithmic part ends.
    """

    def __init__(self, buckets: int, reach: int = 1024) -> None:
        if buckets < 4 or buckets % 2:
            raise UserError(f"buckets must be even and at least 4, not {buckets}")
        self.buckets, self.reach = buckets, reach
        self.rows = 2 * buckets - 1 + 3
        self.original_length = reach

    def index(self, length: int) -> Tensor:
        """Bucket of each pair, (L, L) int64; computed in float32 like the original, on which the last digit depends."""
        position = torch.arange(length, device="cpu")
        offset = position[:, None] - position[None, :]
        middle = self.buckets // 2
        distance = offset.abs().clamp(max=self.reach - 1)
        steps = torch.log(distance.clamp(min=1) / middle) / math.log((self.reach - 1) / middle) * (middle - 1)
        far = torch.ceil(steps).long() + middle
        index = torch.where(distance <= middle, offset, far * offset.sign()) + self.buckets - 1
        return _with_cls(index, 2 * self.buckets - 1)


class GridBuckets:
    """Vertical and horizontal offset on a grid of patches in row-major order after the CLS token.

    Args:
        side: Patches along a side, or from top to bottom.
        width: Patches from left to right where they are another number.
    """

    def __init__(self, side: int, width: int | None = None) -> None:
        self.side, self.width = side, side if width is None else width
        self.rows = (2 * side - 1) * (2 * self.width - 1) + 3
        self.original_length = side * self.width + 1

    def index(self, length: int) -> Tensor:
        """Bucket of each pair, (L, L) int64, for as many patches as the grid has, and the CLS token."""
        height, width = self.side, self.width
        if length != height * width + 1:
            raise UserError(
                f"{length - 1} patches do not fill a grid of {height} x {width}; resize the image"
            )
        sides = (torch.arange(side, device="cpu") for side in (height, width))
        y, x = (place.flatten() for place in torch.meshgrid(*sides, indexing="ij"))
        index = torch.zeros(length, length, dtype=torch.long, device="cpu")
        index[1:, 1:] = (y[:, None] - y + height - 1) * (2 * width - 1) + (x[:, None] - x + width - 1)
        return _with_cls(index, self.rows - 3)


def _with_cls(index: Tensor, first: int) -> Tensor:
    index[0, :] = first
    index[:, 0] = first + 1
    index[0, 0] = first + 2
    return index


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """Take the rows of (R, H) named by ``index`` (...) -> (H, ...)."""
    return nn.functional.embedding(index, table).movedim(-1, 0).contiguous()


class RelativeBias(nn.Module):
    """Bias tables over buckets: one for all layers or one for each.

    Args:
        buckets: Buckets of relative positions.
        heads: Attention heads H.
        tables: Number of tables.
    """

    def __init__(self, buckets: Buckets, heads: int, tables: int) -> None:
        super().__init__()
        self.buckets = buckets
        self.tables = nn.ParameterList(torch.zeros(buckets.rows, heads) for _ in range(tables))
        self._index: dict[tuple[int, torch.device], Tensor] = {}

    def reset_parameters(self) -> None:
        """Zero the tables in place."""
        for table in self.tables:
            nn.init.zeros_(table)

    def forward(self, length: int, keep: Tensor | None = None) -> list[Tensor]:
        """Look up the bias of every table.

        Args:
            length: Number of tokens L with the CLS token.
            keep: (B, K) positions of the visible tokens of each sample, or None for all tokens.

        Returns:
            For each table (1, H, L, L), or (B, H, K, K) for ``keep``.
        """
        index = self._buckets(length, self.tables[0].device)
        if keep is None:
            return [look_up(table, index)[None] for table in self.tables]
        visible = index[keep[:, :, None], keep[:, None, :]]
        return [look_up(table, visible).transpose(0, 1) for table in self.tables]

    def _buckets(self, length: int, device: torch.device) -> Tensor:
        if torch.compiler.is_exporting():  # a length that is a symbol has no place in a dictionary
            return self.buckets.index(length).to(device)
        if (length, device) in self._index:
            return self._index[length, device]
        index = self.buckets.index(length).to(device)
        if not torch.compiler.is_compiling():  # a tracer's tensors are of no use afterwards
            self._index[length, device] = index
        return index
