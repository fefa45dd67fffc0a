"""LayerScale: a learnable factor for each channel of a residual branch (arXiv 2103.17239).

Shapes: D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """Per-channel scale.

    Args:
        width: Number of channels D.
        start: Initial value.
    """

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.start = start
        self.gamma = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        nn.init.constant_(self.gamma, self.start)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return x * self.gamma

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return ``x + gamma * branch``, both (..., D), in one pass over memory."""
        return torch.addcmul(x, branch, self.gamma)


def add_scaled(x: Tensor, branch: Tensor, scale: nn.Module) -> Tensor:
    """Return ``x + scale(branch)``, both (..., D); a block without LayerScale has ``nn.Identity`` for it."""
    return scale.add(x, branch) if isinstance(scale, LayerScale) else x + branch
