"""One module for each modality, or one shared by all, with the same call.

Shapes: B batch, L tokens, N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from onepeace_pl.nn.sequence import Segment
from onepeace_pl.nn.zero_grad import with_zero_grad

SHARED = "shared"


class Routed(nn.ModuleDict):
    """Modules by modality; each segment of the rows goes through its own, or all rows through a shared one.

    Args:
        names: Modalities.
        make: Makes one module, Tensor (..., N, ·) -> Tensor (..., N, ·).
        shared: One module for all names.
    """

    def __init__(self, names: Iterable[str], make: Callable[[], nn.Module], shared: bool = False) -> None:
        super().__init__({name: make() for name in ([SHARED] if shared else names)})

    def forward(self, x: Tensor, segments: Sequence[Segment]) -> Tensor:
        """Map rows (N, ·), or (B, L, ·), segment by segment; one segment alone is neither cut nor joined."""
        if SHARED in self:
            out: Tensor = self[SHARED](x)
            return out
        if len(segments) == 1:
            out = self[segments[0].name](x)
        else:
            parts = torch.split(x, [s.stop - s.start for s in segments], dim=-2)
            out = torch.cat([self[s.name](part) for s, part in zip(segments, parts, strict=True)], dim=-2)
        read = {s.name for s in segments}
        return with_zero_grad(out, (module for name, module in self.items() if name not in read))
