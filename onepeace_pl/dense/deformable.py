"""Multi-scale deformable attention: a few learned sampling points around each query (arXiv 2010.04159).

Shapes: B batch, Q queries, N positions of all feature maps, D width, H heads, L levels, P points per level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.nn.deformable import deformable_attention

Shape = tuple[int, int]


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention.

    Args:
        width: D.
        heads: H.
        levels: L.
        points: P.
        value_ratio: Width of the values, as a fraction of D.

    Raises:
        UserError: The heads do not divide the width of the values.
    """

    def __init__(
        self, width: int, heads: int, levels: int, points: int = 4, value_ratio: float = 1.0
    ) -> None:
        super().__init__()
        inner = int(width * value_ratio)
        if inner % heads:
            raise UserError(f"{heads} heads do not divide the inner width {inner}")
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.values = nn.Linear(width, inner)
        self.project_out = nn.Linear(inner, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place: sampling points of each head lie on a ray of its own, at distances 1 to P."""
        for layer in (self.values, self.project_out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        angles = torch.arange(self.heads, device=self.offsets.bias.device) * (2 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, device=directions.device)[:, None]
        grid = directions[:, None, None] * steps  # (H, 1, P, 2)
        with torch.no_grad():
            self.offsets.bias.copy_(grid.expand(-1, self.levels, -1, -1).flatten())

    def forward(
        self, queries: Tensor, reference_points: Tensor, maps: Tensor, shapes: Sequence[Shape]
    ) -> Tensor:
        """Attend from queries to sampled points of the feature maps -> (B, Q, D).

        Args:
            queries: (B, Q, D).
            reference_points: (Q, 2), normalised x and y of the queries.
            maps: (B, N, D), flattened feature maps.
            shapes: Height and width of each map.
        """
        batch, count, _ = queries.shape
        offsets = self.offsets(queries).view(batch, count, self.heads, self.levels, self.points, 2)
        weights = self.weights(queries).view(batch, count, self.heads, self.levels * self.points)
        sizes = queries.new_tensor([(width, height) for height, width in shapes], dtype=torch.float32)
        locations = reference_points[:, None, None, None] + offsets.float() / sizes[:, None]
        values = self.values(maps).view(batch, maps.shape[1], self.heads, -1)
        weights = weights.softmax(-1).view(locations.shape[:-1])
        output: Tensor = self.project_out(deformable_attention(values, shapes, locations, weights))
        return output


def grid_points(shapes: Sequence[Shape], device: torch.device) -> Tensor:
    """Return reference points (N, 2): normalised x and y of the centres of all positions of feature maps."""
    points = []
    for height, width in shapes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        points.append(torch.cartesian_prod(y, x).flip(-1))
    return torch.cat(points)
