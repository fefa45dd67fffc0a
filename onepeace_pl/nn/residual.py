"""Residual connections: LayerScale (arXiv 2103.17239) and stochastic depth (arXiv 1603.09382).

Shapes: B batch, L tokens, D width, N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from onepeace_pl.nn.fast.packing import Packing
from onepeace_pl.nn.sequence import Bias


class LayerScale(nn.Module):
    """Learnable factor for each channel of a residual branch.

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


def keep_factor(x: Tensor, rate: float, group: int = 1) -> Tensor:
    """Draw for each sample of (B, ...) whether a branch is kept -> (B, 1, 1): 0, or 1 / (1 - rate).

    Args:
        x: Of the shape's first axis, dtype and device.
        rate: Probability of dropping the branch.
        group: Consecutive rows of ``x`` that are one sample.
    """
    keep = 1.0 - rate
    factor = x.new_empty(x.shape[0] // group, 1, 1).bernoulli_(keep).div_(keep)
    return factor if group == 1 else factor.repeat_interleave(group, 0)


def kept_samples(x: Tensor, rate: float, group: int = 1) -> Tensor:
    """Choose ``round(B (1 - rate))`` samples of (B, ...), at least one -> (B',) indices.

    Args:
        x: Of the shape's first axis and device.
        rate: Share of the samples that are left out.
        group: Consecutive rows of ``x`` that are one sample; their indices stay together.
    """
    samples = x.shape[0] // group
    chosen = torch.randperm(samples, device=x.device)[: max(1, round(samples * (1.0 - rate)))]
    if group == 1:
        return chosen
    return (chosen[:, None] * group + torch.arange(group, device=x.device)).flatten()


class Branch(Protocol):
    """A residual branch of a block, such as attention: (N, D) -> (N, D)."""

    def __call__(self, x: Tensor, packing: Packing, biases: Sequence[Bias]) -> Tensor:
        """Compute the branch for packed rows."""


@dataclass(frozen=True)
class DropPath:
    """Residual connection with stochastic depth: one draw for a sample, whatever modalities it has.

    Attributes:
        rate: Probability of dropping the branch.
        subset: Compute the branch for a fixed share of the samples only, instead of dropping it afterwards.
    """

    rate: float
    subset: bool

    def __call__(
        self, branch: Branch, scale: nn.Module, x: Tensor, packing: Packing, biases: Sequence[Bias]
    ) -> Tensor:
        """Return ``x`` plus the scaled branch of it, both (N, D)."""
        if not self.rate:
            return add_scaled(x, branch(x, packing, biases), scale)
        stubs = [x.new_empty(batch, 1, 1) for batch in packing.batches]
        if not self.subset:
            out = branch(x, packing, biases)
            draws = [keep_factor(s, self.rate, g) for s, g in zip(stubs, packing.groups, strict=True)]
            return add_scaled(x, out * packing.pack(draws), scale)
        samples = [kept_samples(s, self.rate, g) for s, g in zip(stubs, packing.groups, strict=True)]
        rows, part = packing.rows_of(samples), packing.part(samples)
        own = [
            bias[kept] if isinstance(bias, Tensor) and bias.shape[0] > 1 else bias
            for bias, kept in zip(biases, samples, strict=True)
        ]
        factor = part.pack(
            [
                x.new_full((len(kept), 1, 1), batch / len(kept))
                for kept, batch in zip(samples, packing.batches, strict=True)
            ]
        )
        out = scale(branch(x[rows], part, own))
        return x.index_add(0, rows, (out * factor).to(x.dtype))
