"""Modules by modality, or one shared by all, and zero gradients for those that a batch does not use.

Shapes: B batch, L tokens, N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from onepeace_pl.nn.sequence import Segment

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


def with_zero_grad(x: Tensor, unused: Iterable[nn.Module]) -> Tensor:
    """Return ``x`` plus zero times the trainable parameters of modules that this rank's batch does not use.

    Ranks average gradients parameter by parameter: where one has images and another audio, both need a gradient of
    both, or they wait for each other for ever. A single rank leaves ``x`` as it is.
    """
    if not (torch.is_grad_enabled() and dist.is_available() and dist.is_initialized()):
        return x
    if dist.get_world_size() == 1:
        return x
    for module in unused:
        for parameter in module.parameters():
            if parameter.requires_grad:
                x = x + (parameter.flatten()[:1] * 0.0).sum().to(x.dtype)
    return x
