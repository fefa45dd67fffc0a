"""Deformable attention over feature maps of several sizes (arXiv 2010.04159, section 4.1).

Shapes: B batch, N cells of all maps, Q queries, H heads, C channels of a head, L maps, P points of a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.errors import UserError


def deformable_attention(
    values: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """Read each map between its cells at the points of each query, and add up what was read.

    Args:
        values: Cells of one map after the other, row by row, (B, N, H, C).
        shapes: Height and width of each map; their products add up to N.
        locations: Points as shares of the map's width and height, (B, Q, H, L, P, 2); outside of it all is zero.
        weights: Weights of the points, (B, Q, H, L, P).

    Returns:
        What each query read, (B, Q, H * C), in the type of ``values``.

    Raises:
        UserError: The maps have not N cells.
    """
    batch, cells, heads, channels = values.shape
    if sum(height * width for height, width in shapes) != cells:
        raise UserError(f"maps of {list(shapes)} cells do not add up to {cells} values")
    queries, points = locations.shape[1], locations.shape[4]
    # places need more digits than bfloat16 has: on a map of 224 cells it knows no halves
    exact = torch.promote_types(values.dtype, torch.float32)
    maps = torch.split(values, [height * width for height, width in shapes], dim=1)
    found = values.new_zeros((batch * heads, channels, queries), dtype=exact)
    for level, (cells_of_map, (height, width)) in enumerate(zip(maps, shapes, strict=True)):
        image = cells_of_map.permute(0, 2, 3, 1).reshape(batch * heads, channels, height, width)
        grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).reshape(batch * heads, queries, points, 2)
        read = F.grid_sample(image.to(exact), grid.to(exact), align_corners=False)
        share = weights[:, :, :, level].transpose(1, 2).reshape(batch * heads, 1, queries, points)
        found = found + (read * share).sum(-1)
    return found.view(batch, heads * channels, queries).transpose(1, 2).to(values.dtype)
