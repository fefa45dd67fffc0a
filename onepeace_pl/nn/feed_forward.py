"""The gated feed-forward of one modality (spec: model, section 4).

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


class _GatedGelu(torch.autograd.Function):
    """Its backward pass writes both halves of the gradient in place instead of joining them afterwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=-1)
        opened = F.gelu(gate)
        ctx.save_for_backward(x, opened)
        return opened * value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, opened = ctx.saved_tensors
        gate, value = x.chunk(2, dim=-1)
        result = torch.empty_like(x)
        gate_grad, value_grad = result.chunk(2, dim=-1)
        torch.ops.aten.gelu_backward.grad_input(grad * value, gate, grad_input=gate_grad)
        torch.mul(grad, opened, out=value_grad)
        return result


def gated_gelu(x: Tensor) -> Tensor:
    """``GELU(a) * b`` of the two halves of (..., 2 F) -> (..., F)."""
    if x.device.type == "cpu":
        return _GatedGelu.apply(x)  # type: ignore[no-untyped-call, no-any-return]
    gate, value = x.chunk(2, dim=-1)
    return F.gelu(gate) * value


class GatedFeedForward(nn.Module):
    """``W3 LN(GELU(W0 u) * (W1 u))`` with W0 and W1 in one product and without bias."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.std = config.init_std
        self.expand = nn.Linear(config.width, 2 * config.feed_forward, bias=False)  # rows of W0, then of W1
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
        return self.contract(self.norm(self.dropout(gated_gelu(self.expand(x)))))  # type: ignore[no-any-return]
