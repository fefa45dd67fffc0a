"""Square windows of a grid of tokens, so that attention looks only at what is near.

Shapes: B batch, h and w sides of the grid, S side of a window, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Windows(NamedTuple):
    """How a grid is cut.

    Attributes:
        grid: h and w.
        side: S.
    """

    grid: tuple[int, int]
    side: int

    @property
    def counts(self) -> tuple[int, int]:
        """Windows from top to bottom and from left to right; the last of them may reach beyond the grid."""
        height, width = self.grid
        return -(-height // self.side), -(-width // self.side)

    @property
    def number(self) -> int:
        """Windows of a grid."""
        rows, columns = self.counts
        return rows * columns

    def cut(self, x: Tensor) -> Tensor:
        """(B, h w, D) -> (B number, S S, D), window by window; what lies beyond the grid is zero."""
        (height, width), (rows, columns), side = self.grid, self.counts, self.side
        x = x.reshape(len(x), height, width, -1)
        if (rows * side, columns * side) != self.grid:
            x = F.pad(x, (0, 0, 0, columns * side - width, 0, rows * side - height))
        x = x.view(len(x), rows, side, columns, side, -1).transpose(2, 3)
        return x.reshape(-1, side * side, x.shape[-1])

    def join(self, x: Tensor) -> Tensor:
        """Undo ``cut``."""
        (height, width), (rows, columns), side = self.grid, self.counts, self.side
        x = x.view(-1, rows, columns, side, side, x.shape[-1]).transpose(2, 3)
        x = x.reshape(len(x), rows * side, columns * side, -1)[:, :height, :width]
        return x.flatten(1, 2)

    def padding(self, batch: int, device: torch.device) -> Tensor | None:
        """Return (B number, S S) bool, True beyond the grid; None where nothing is."""
        rows, columns = self.counts
        if (rows * self.side, columns * self.side) == self.grid:
            return None
        inside = torch.ones(1, self.grid[0] * self.grid[1], 1, device=device)
        return (self.cut(inside)[..., 0] == 0).repeat(batch, 1)
