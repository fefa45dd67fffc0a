"""One module for every modality, or one for all: the same call for both.

Shapes: B batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

SHARED = "shared"


class Segment(NamedTuple):
    """A stretch ``start:stop`` of a sequence that belongs to one modality."""

    name: str
    start: int
    stop: int


class Routed(nn.ModuleDict):
    """Sends each segment of a sequence through the module of its modality, or all through the shared one.

    Args:
        names: Modalities.
        make: Makes one module, Tensor (B, L, ·) -> Tensor (B, L, ·).
        shared: One module for all names.
    """

    def __init__(self, names: Iterable[str], make: Callable[[], nn.Module], shared: bool = False) -> None:
        super().__init__({name: make() for name in ([SHARED] if shared else names)})

    def forward(self, x: Tensor, segments: Sequence[Segment]) -> Tensor:
        """Map (B, L, ·) segment by segment; a sequence of one segment is neither cut nor joined."""
        if SHARED in self:
            return self[SHARED](x)  # type: ignore[no-any-return]
        if len(segments) == 1:
            return self[segments[0].name](x)  # type: ignore[no-any-return]
        return torch.cat([self[s.name](x[:, s.start : s.stop]) for s in segments], dim=1)
