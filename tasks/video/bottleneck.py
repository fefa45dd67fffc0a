"""Bottleneck adapter (AIM, arXiv 2302.03024; docs/reference/tasks.md).

Shapes: D width.
"""

from __future__ import annotations

from torch import Tensor, nn

RATIO = 4  # width of a token to that of the bottleneck


class Bottleneck(nn.Module):
    """D -> D / 4 -> GELU -> D. The last layer is initialised with zeros, so that at first nothing is added.

    Args:
        width: Size D of a token.
        skip: Add the input to the output: at first the identity instead of zero.
    """

    def __init__(self, width: int, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        self.down = nn.Linear(width, width // RATIO)
        self.activation = nn.GELU()
        self.up = nn.Linear(width // RATIO, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place; the first layer keeps PyTorch's initialisation, which suits any width."""
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        out: Tensor = self.up(self.activation(self.down(x)))
        return x + out if self.skip else out
