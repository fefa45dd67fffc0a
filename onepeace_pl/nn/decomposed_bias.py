"""Decomposed relative position bias: query-dependent, rows and columns apart (arXiv 2112.01526, section 4.1).

Shapes: B batch, h and w sides of a grid, L = h w tokens, H heads, K head size, S side the tables were made for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DecomposedBias(nn.Module):
    """A vector for each vertical and each horizontal offset; its product with a query is that query's bias.

    Args:
        head_size: K.
        side: S; the tables are stretched for grids of another side.
    """

    def __init__(self, head_size: int, side: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(2 * side - 1, head_size))
        self.columns = nn.Parameter(torch.zeros(2 * side - 1, head_size))

    def reset_parameters(self) -> None:
        """Zero the tables in place."""
        nn.init.zeros_(self.rows)
        nn.init.zeros_(self.columns)

    def forward(self, queries: Tensor, grid: tuple[int, int]) -> Tensor:
        """Bias of each query for each key.

        Args:
            queries: (B, L, H, K), as projected, not scaled.
            grid: h and w.

        Returns:
            (B, H, L, L).
        """
        height, width = grid
        here = queries.reshape(len(queries), height, width, *queries.shape[2:])
        vertical = torch.einsum("byxhk,yjk->bhyxj", here, _by_offset(self.rows, height).to(queries.dtype))
        level = torch.einsum("byxhk,xik->bhyxi", here, _by_offset(self.columns, width).to(queries.dtype))
        bias = vertical[..., :, None] + level[..., None, :]
        return bias.reshape(*bias.shape[:2], height * width, height * width)


def _by_offset(table: Tensor, side: int) -> Tensor:
    """Stretch a table to the offsets of a side, and look up those of each pair of places: (side, side, K)."""
    span = 2 * side - 1
    if len(table) != span:
        table = F.interpolate(table.t()[None].float(), size=span, mode="linear")[0].t().to(table.dtype)
    places = torch.arange(side, device=table.device)
    return table[places[:, None] - places + side - 1]
