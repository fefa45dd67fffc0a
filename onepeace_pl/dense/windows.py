"""Window partition of a grid of tokens, for window attention (ViTDet, Swin).

Shapes: B batch, h x w grid, S window size, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Windows(NamedTuple):
    """Partition of a grid into square windows.

    Attributes:
        grid: h and w.
        size: S.
    """

    grid: tuple[int, int]
    size: int

    @property
    def counts(self) -> tuple[int, int]:
        """Rows and columns of windows; the last ones may be padded."""
        height, width = self.grid
        return -(-height // self.size), -(-width // self.size)

    @property
    def num_windows(self) -> int:
        """Number of windows."""
        rows, columns = self.counts
        return rows * columns

    def partition(self, x: Tensor) -> Tensor:
        """Partition tokens (B, h w, D) -> (B windows, S S, D), zero-padded."""
        (height, width), (rows, columns), side = self.grid, self.counts, self.size
        x = x.reshape(len(x), height, width, -1)
        if (rows * side, columns * side) != self.grid:
            x = F.pad(x, (0, 0, 0, columns * side - width, 0, rows * side - height))
        x = x.view(len(x), rows, side, columns, side, -1).transpose(2, 3)
        return x.reshape(-1, side * side, x.shape[-1])

    def unpartition(self, x: Tensor) -> Tensor:
        """Inverse of ``partition``, without the padding."""
        (height, width), (rows, columns), side = self.grid, self.counts, self.size
        x = x.view(-1, rows, columns, side, side, x.shape[-1]).transpose(2, 3)
        x = x.reshape(len(x), rows * side, columns * side, -1)[:, :height, :width]
        return x.flatten(1, 2)

    def padding(self, batch: int, device: torch.device) -> Tensor | None:
        """Return the padding mask (B windows, S S), True at padding; None if there is none."""
        rows, columns = self.counts
        if (rows * self.size, columns * self.size) == self.grid:
            return None
        inside = torch.ones(1, self.grid[0] * self.grid[1], 1, device=device)
        return (self.partition(inside)[..., 0] == 0).repeat(batch, 1)
