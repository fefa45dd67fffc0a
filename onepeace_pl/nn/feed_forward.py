"""The gated feed-forward (GeGLU) of one modality (paper, section 3.1).

Shapes: D width, F inner width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.init import reset_linear_


class _GatedExpand(torch.autograd.Function):
    """Two products with halves of one weight, so that what follows reads and writes whole matrices.

    On CPU, GELU of every other stretch of memory takes half as long again; one product for both halves saves nothing.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        first, second = weight.chunk(2)
        gate, value = F.linear(x, first), F.linear(x, second)
        opened = F.gelu(gate)
        ctx.save_for_backward(x, weight, gate, value, opened)
        return opened * value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight, gate, value, opened = ctx.saved_tensors
        gate_grad = torch.ops.aten.gelu_backward(grad * value, gate).flatten(0, -2)
        value_grad = (grad * opened).flatten(0, -2)
        x_grad = weight_grad = None
        first, second = weight.chunk(2)
        if ctx.needs_input_grad[0]:
            x_grad = torch.mm(gate_grad, first).addmm_(value_grad, second).view_as(x)
        if ctx.needs_input_grad[1]:
            rows = x.flatten(0, -2)
            weight_grad = torch.empty_like(weight)
            for part, into in zip((gate_grad, value_grad), weight_grad.chunk(2), strict=True):
                torch.mm(part.t(), rows, out=into)
        return x_grad, weight_grad


def gated_expand(x: Tensor, weight: Tensor) -> Tensor:
    """``GELU(W0 x) * (W1 x)`` of (..., D) -> (..., F).

    Args:
        x: (..., D), at least two axes.
        weight: (2 F, D), rows of W0, then of W1.
    """
    if x.device.type == "cpu":
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
        out: Tensor = _GatedExpand.apply(x, weight)
        return out
    gate, value = F.linear(x, weight).chunk(2, dim=-1)
    return F.gelu(gate) * value


class GatedFeedForward(nn.Module):
    """``W3 LN(GELU(W0 u) * (W1 u))`` with W0 and W1 in one weight and without bias."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.std = config.init_std
        self.expand = nn.Linear(config.width, 2 * config.feed_forward, bias=False)  # W0's rows, then W1's
        self.dropout = nn.Dropout(config.activation_dropout)
        self.norm = nn.LayerNorm(config.feed_forward) if config.feed_forward_norm else nn.Identity()
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        reset_linear_(self.expand, self.std)
        reset_linear_(self.contract, self.std)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        out: Tensor = self.contract(self.norm(self.dropout(self._expand(x))))
        return out

    def _expand(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., F); what is more than a weight (an adapter, another's layer) must be called."""
        if type(self.expand) is nn.Linear:
            return gated_expand(x, self.expand.weight)
        expanded: Tensor = self.expand(x)
        gate, value = expanded.chunk(2, dim=-1)
        return F.gelu(gate) * value
