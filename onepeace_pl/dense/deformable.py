"""Attention that reads a few learnt points around each query (arXiv 2010.04159; spec: tasks, section 13).

Shapes: B batch, Q queries, N cells of all maps, D width, H heads, L maps, P points of a map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onepeace_pl.nn.deformable import deformable_attention

Shape = tuple[int, int]


class DeformableAttention(nn.Module):
    """Queries say where to look, and how much of what is there they take.

    Args:
        width: D.
        heads: H.
        levels: L.
        points: P.
        value_share: Inner width by D.
    """

    def __init__(
        self, width: int, heads: int, levels: int, points: int = 4, value_share: float = 1.0
    ) -> None:
        super().__init__()
        inner = int(width * value_share)
        if inner % heads:
            raise ValueError(f"{heads} heads do not divide the inner width {inner}")
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.values = nn.Linear(width, inner)
        self.project_out = nn.Linear(inner, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place: each head looks in a direction of its own, each point a step farther."""
        for layer in (self.values, self.project_out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        angles = torch.arange(self.heads, device=self.offsets.bias.device) * (2 * math.pi / self.heads)
        ways = torch.stack([angles.cos(), angles.sin()], -1)
        ways = ways / ways.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, device=ways.device)[:, None]
        grid = ways[:, None, None] * steps  # (H, 1, P, 2)
        with torch.no_grad():
            self.offsets.bias.copy_(grid.expand(-1, self.levels, -1, -1).flatten())

    def forward(self, queries: Tensor, places: Tensor, maps: Tensor, shapes: Sequence[Shape]) -> Tensor:
        """Return what the queries read, (B, Q, D).

        Args:
            queries: (B, Q, D).
            places: Of the queries, (Q, 2): x and y as shares of the picture.
            maps: Cells of one map after the other, (B, N, D).
            shapes: Height and width of each map.
        """
        batch, count, _ = queries.shape
        offsets = self.offsets(queries).view(batch, count, self.heads, self.levels, self.points, 2)
        weights = self.weights(queries).view(batch, count, self.heads, self.levels * self.points)
        sizes = queries.new_tensor([(width, height) for height, width in shapes], dtype=torch.float32)
        locations = places[:, None, None, None] + offsets.float() / sizes[:, None]
        values = self.values(maps).view(batch, maps.shape[1], self.heads, -1)
        weights = weights.softmax(-1).view(locations.shape[:-1])
        return self.project_out(deformable_attention(values, shapes, locations, weights))  # type: ignore[no-any-return]


def places_of(shapes: Sequence[Shape], device: torch.device) -> Tensor:
    """Return the middles of all cells of maps, (N, 2): x and y as shares of the picture."""
    places = []
    for height, width in shapes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        places.append(torch.cartesian_prod(y, x).flip(-1))
    return torch.cat(places)
