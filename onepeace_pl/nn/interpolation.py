"""Interpolation of position tables to another grid (docs/reference/model.md).

Shapes: S grid side, h and w sides of another grid, D width, H heads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import importing


def resize_positions(table: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """Resize learned positions of a square grid, bicubic without antialiasing, computed in fp32.

    Args:
        table: (S * S + 1, D), row 0 for the CLS token, which stays as it is.
        grid: Wanted side, or height and width.

    Returns:
        (h * w + 1, D) in the dtype of ``table``.
    """
    size = (grid, grid) if isinstance(grid, int) else tuple(grid)
    old = math.isqrt(table.shape[0] - 1)
    if size == (old, old):
        return table
    image = table[1:].float().reshape(1, old, old, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image, size=size, mode="bicubic", align_corners=False)
    return torch.cat([table[:1], image.flatten(2)[0].t().to(table.dtype)])


def relative_table_of(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the relative positions of a grid that need not be square: a part of the table's, or a larger one.

    Along an axis on which the grid fits, offsets are those that the table knows; along a longer one they are stretched,
    bicubic without antialiasing, computed in fp32.

    Args:
        table: ((2 S - 1) ** 2 + 3, H), the last three rows for the CLS token, which stay as they are.
        grid: Height and width.

    Returns:
        ((2 h - 1) (2 w - 1) + 3, H) in the dtype of ``table``.
    """
    span = math.isqrt(table.shape[0] - 3)
    side, (height, width) = (span + 1) // 2, grid
    part = table[: span * span].view(span, span, -1)
    rows, columns = (slice(max(side - length, 0), side + length - 1) for length in (height, width))
    part = part[rows, columns]
    if max(height, width) > side:
        image = part.float().permute(2, 0, 1)[None]
        size = (2 * height - 1, 2 * width - 1)
        part = F.interpolate(image, size=size, mode="bicubic", align_corners=False)[0].permute(1, 2, 0)
    return torch.cat([part.reshape(-1, table.shape[1]).to(table.dtype), table[span * span :]])


def enlarge_relative_table(table: Tensor, side: int) -> Tensor:
    """Enlarge a relative position table to a larger grid by a cubic spline on geometrically spaced offsets.

    Near offsets keep their meaning while far ones are stretched: the known offsets are placed at distances that grow
    by a factor chosen such that the outermost lands on the new outermost.

    Args:
        table: ((2 S - 1) ** 2 + 3, H), the last three rows for the CLS token, which stay as they are.
        side: Wanted grid side; (2 side - 1) must be at least the table's.

    Returns:
        ((2 side - 1) ** 2 + 3, H) in the dtype and device of ``table``.
    """
    with importing():
        from scipy.interpolate import RectBivariateSpline

    span, target = math.isqrt(table.shape[0] - 3), 2 * side - 1
    if span == target:
        return table
    if target < span:
        raise UserError(
            f"a relative table for {(span + 1) // 2} patches a side cannot shrink to {side}; use a larger size"
        )
    half = span // 2
    ratio = _growth(half, target // 2)
    steps = np.concatenate([[0.0], np.cumsum(ratio ** np.arange(half))])
    known = np.concatenate([-steps[:0:-1], steps])
    wanted = np.arange(-(target // 2), target // 2 + 1, dtype=np.float64)
    grids = table[: span * span].detach().cpu().double().numpy().reshape(span, span, -1)
    degree = min(3, span - 1)  # three offsets, of a grid of side 2, determine no cubic spline
    enlarged = np.stack(
        [
            RectBivariateSpline(known, known, grids[..., h].T, kx=degree, ky=degree, s=0)(wanted, wanted).T
            for h in range(grids.shape[-1])
        ],
        axis=-1,
    )
    rows = torch.from_numpy(enlarged.reshape(target * target, -1)).to(table)
    return torch.cat([rows, table[span * span :]])


def _growth(half: int, reach: int) -> float:
    """Factor q such that 1 + q + ... + q ** (half - 1) just reaches ``reach``, by bisection to 1e-6."""
    low, high = 1.01, 1.5
    q = low
    while high - low > 1e-6:
        q = (low + high) / 2
        if (1 - q**half) / (1 - q) > reach:
            high = q
        else:
            low = q
    return q
