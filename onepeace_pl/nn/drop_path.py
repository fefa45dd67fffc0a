"""Stochastic depth (spec: model, section 4).

Shapes: B batch, L tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def keep_factor(x: Tensor, rate: float) -> Tensor:
    """Draw for each sample of (B, L, D) whether a branch is kept -> (B, 1, 1): 0, or 1 / (1 - rate)."""
    keep = 1.0 - rate
    return x.new_empty(len(x), 1, 1).bernoulli_(keep).div_(keep)


def kept_samples(x: Tensor, rate: float) -> Tensor:
    """Choose ``round(B (1 - rate))`` samples of (B, L, D), at least one -> (B',) indices."""
    count = max(1, round(len(x) * (1.0 - rate)))
    return torch.randperm(len(x), device=x.device)[:count]
