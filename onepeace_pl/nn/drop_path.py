"""Stochastic depth (docs/reference/model.md, section 4).

Shapes: B batch, L tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def keep_factor(x: Tensor, rate: float, group: int = 1) -> Tensor:
    """Draw for each sample of (B, L, D) whether a branch is kept -> (B, 1, 1): 0, or 1 / (1 - rate).

    Args:
        x: Tokens.
        rate: Probability of dropping the branch.
        group: Consecutive rows of ``x`` that are one sample.
    """
    keep = 1.0 - rate
    factor = x.new_empty(len(x) // group, 1, 1).bernoulli_(keep).div_(keep)
    return factor if group == 1 else factor.repeat_interleave(group, 0)


def kept_samples(x: Tensor, rate: float, group: int = 1) -> Tensor:
    """Choose ``round(B (1 - rate))`` samples of (B, L, D), at least one -> (B',) indices.

    Args:
        x: Tokens.
        rate: Share of the samples that are left out.
        group: Consecutive rows of ``x`` that are one sample; their indices stay together.
    """
    samples = len(x) // group
    chosen = torch.randperm(samples, device=x.device)[: max(1, round(samples * (1.0 - rate)))]
    if group == 1:
        return chosen
    return (chosen[:, None] * group + torch.arange(group, device=x.device)).flatten()
