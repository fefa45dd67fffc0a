"""Products with what precedes them as differentiable functions that keep few activations.

PyTorch keeps every matrix that enters a product or a LayerNorm: of a gated feed-forward the gate, the value, the
opened gate, the gated value and the normalised one. Here what is elementwise is computed again in the backward pass,
and only its operands are kept. Results are the same to the last digit. There is no second derivative.

Shapes: N rows, D width, E output width, F inner width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Norm(NamedTuple):
    """A LayerNorm's weight and bias, and its epsilon; none of them for no norm."""

    weight: Tensor | None = None
    bias: Tensor | None = None
    eps: float = 0.0

    @classmethod
    def of(cls, module: nn.Module) -> Norm:
        """Return a LayerNorm's parameters, or none of an ``nn.Identity``."""
        return cls(module.weight, module.bias, module.eps) if isinstance(module, nn.LayerNorm) else cls()

    def __call__(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        if self.weight is None:
            return x
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def is_plain(*layers: nn.Linear) -> bool:
    """Whether layers are nothing but products with their weights, without low-rank adapters, and are differentiated.

    A compiler chooses by itself what to keep, and functions such as these would hide the formulas from it.
    """
    plain = all(type(layer) is nn.Linear for layer in layers)
    return plain and torch.is_grad_enabled() and not torch.compiler.is_compiling()


def norm_linear(x: Tensor, norm: Norm, layer: nn.Linear) -> Tensor:
    """``W LN(x) + b``: (..., D) -> (..., E), keeping x."""
    out: Tensor = _NormLinear.apply(
        x.flatten(0, -2), norm.weight, norm.bias, norm.eps, layer.weight, layer.bias
    )
    return out.view(*x.shape[:-1], -1)


def gated_feed_forward(x: Tensor, expand: nn.Linear, norm: Norm, contract: nn.Linear) -> Tensor:
    """``W3 LN(GELU(W0 x) * (W1 x)) + b``, keeping x, ``W0 x`` and ``W1 x``.

    Args:
        x: (..., D).
        expand: (2 F, D), the rows of W0, then those of W1; without bias.
        norm: Of the gated product.
        contract: W3 and b.

    Returns:
        (..., D).
    """
    gated = (norm.weight, norm.bias, norm.eps, contract.weight, contract.bias)
    out: Tensor = _GatedFeedForward.apply(x.flatten(0, -2), expand.weight, *gated)
    return out.view(*x.shape[:-1], -1)


class _NormLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        eps: float,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        normed = Norm(scale, shift, eps)(x)
        ctx.save_for_backward(x, scale, shift, weight)
        ctx.eps, ctx.norm_dtype = eps, normed.dtype
        return F.linear(normed, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        grads = _backward(
            grad, x.to(ctx.norm_dtype), Norm(scale, shift, ctx.eps), weight, (True, *needs[1:3], *needs[4:])
        )
        x_grad, scale_grad, shift_grad, weight_grad, bias_grad = grads
        return (
            None if x_grad is None else x_grad.to(x.dtype),
            scale_grad,
            shift_grad,
            None,
            weight_grad,
            bias_grad,
        )


class _GatedFeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        expand: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        eps: float,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        both = F.linear(x, expand)
        gate, value = both.chunk(2, dim=-1)
        inner = F.gelu(gate).mul_(value)
        normed = Norm(scale, shift, eps)(inner)
        ctx.save_for_backward(x, both, expand, scale, shift, weight)
        ctx.eps, ctx.norm_dtype = eps, normed.dtype
        return F.linear(normed, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, both, expand, scale, shift, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        gate, value = both.chunk(2, dim=-1)
        opened = F.gelu(gate)
        inner_grad, *norm_and_contract = _backward(
            grad,
            (opened * value).to(ctx.norm_dtype),
            Norm(scale, shift, ctx.eps),
            weight,
            (True, *needs[2:4], *needs[5:]),
        )
        inner_grad = inner_grad.to(both.dtype)
        both_grad = torch.empty_like(both)
        gate_grad, value_grad = both_grad.chunk(2, dim=-1)
        torch.mul(inner_grad, opened, out=value_grad)
        torch.ops.aten.gelu_backward.grad_input(inner_grad.mul_(value), gate, grad_input=gate_grad)
        del inner_grad, opened
        x_grad = (both_grad @ expand.to(both.dtype)).to(x.dtype) if needs[0] else None
        expand_grad = (both_grad.t() @ x.to(both.dtype)).to(expand.dtype) if needs[1] else None
        return x_grad, expand_grad, *norm_and_contract[:2], None, *norm_and_contract[2:]


def _backward(
    grad: Tensor, x: Tensor, norm: Norm, weight: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, of the norm's weight and bias, and of W and b in ``W LN(x) + b``, from (N, E).

    Args:
        grad: Gradient of the output, in the dtype in which the product was computed.
        x: (N, D) in the dtype in which the norm was computed.
        norm: The norm.
        weight: W.
        needs: Which of them are wanted.
    """
    normed, mean, rstd = x, None, None
    if norm.weight is not None:
        normed, mean, rstd = torch.native_layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)
    weight_grad = (grad.t() @ normed.to(grad.dtype)).to(weight.dtype) if needs[3] else None
    del normed
    bias_grad = grad.sum(0).to(weight.dtype) if needs[4] else None
    x_grad, scale_grad, shift_grad = (grad @ weight.to(grad.dtype)).to(x.dtype), None, None
    if norm.weight is not None:
        x_grad, scale_grad, shift_grad = torch.ops.aten.native_layer_norm_backward(
            x_grad, x, norm.weight.shape, mean, rstd, norm.weight, norm.bias, list(needs[:3])
        )
    return x_grad, scale_grad, shift_grad, weight_grad, bias_grad
