"""Zero gradients for unused parameters, so that ranks that see different modalities stay in sync."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
