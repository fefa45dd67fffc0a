"""Zero gradients for what a process has not read, where others may have."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def with_zero_grad(x: Tensor, unread: Iterable[nn.Module]) -> Tensor:
    """Return ``x``, which now depends on what trains in modules that nothing runs through, with a factor of zero.

    Processes average gradients parameter by parameter: where one has read pictures and another sounds, both must have
    a gradient of both, or they wait for each other for ever. Alone, a process leaves ``x`` as it is.
    """
    if not (torch.is_grad_enabled() and dist.is_available() and dist.is_initialized()):
        return x
    if dist.get_world_size() == 1:
        return x
    for module in unread:
        for parameter in module.parameters():
            if parameter.requires_grad:
                x = x + (parameter.flatten()[:1] * 0.0).sum().to(x.dtype)
    return x
