"""Stochastic depth (spec: model, section 4).

Shapes: B batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def residual(
    x: Tensor, branch: Callable[[Tensor, Tensor | None], Tensor], rate: float, subset: bool, training: bool
) -> Tensor:
    """Return ``x + branch(x)`` where in training each sample's branch is dropped with probability ``rate``.

    Args:
        x: (B, L, D).
        branch: Called with the samples to compute (B', L, D) and their indices (B',), None for all of them.
        rate: Probability of dropping; a kept branch is divided by ``1 - rate``.
        subset: Compute only a random ``round(B (1 - rate))`` samples, at least one, instead of drawing for each.
        training: Outside training nothing is dropped.
    """
    if not training or rate == 0.0:
        return x + branch(x, None)
    batch, keep = x.shape[0], 1.0 - rate
    if not subset:
        mask = x.new_empty(batch, 1, 1).bernoulli_(keep).div_(keep)
        return x + branch(x, None) * mask
    count = max(1, round(batch * keep))
    index = torch.randperm(batch, device=x.device)[:count]
    return x.index_add(0, index, branch(x[index], index), alpha=batch / count)
