"""Which attention kernel runs where: one visible table, and the kernels themselves.

PyTorch's fused attention silently falls back to its slowest path when the additive bias needs a gradient on
CPU, and its backward pass is slow there in bfloat16. So the choice is made here, by rules that can be read,
printed (``python -m onepeace_pl info``) and measured (``python -m onepeace_pl bench attention``).

Shapes: B batch, H heads, L tokens, K head size. Biases are (1, H, L, L) shared by the batch or (B, H, L, L).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """One row of the table; None matches anything.

    Attributes:
        device: Kind of device.
        dtype: Of queries, keys and values.
        bias_grad: Whether the bias needs a gradient.
        kernel: Name of the kernel.
        why: One line.
        grad: Whether queries, keys and values, or the bias, need one.
        length: Fewest tokens L.
        tiles: Whether the processor must have matrix tiles (AMX).
    """

    device: str | None
    dtype: torch.dtype | None
    bias_grad: bool | None
    kernel: str
    why: str
    grad: bool | None = None
    length: int = 0
    tiles: bool = False


RULES = (
    Rule("cpu", torch.float32, False, "fused", "no gradient: 1.3 to 3 times faster", grad=False),
    Rule("cpu", torch.float32, False, "fused", "long: its backward pass pays, too", length=400),
    Rule(
        "cpu",
        torch.bfloat16,
        False,
        "fused",
        "no gradient, matrix tiles: 2 times faster at 257 tokens",
        grad=False,
        length=64,
        tiles=True,
    ),
    Rule("cpu", None, None, "shared_bias", "fused attention has no bias gradient on CPU"),
    Rule("cuda", None, None, "fused", "cuDNN or memory-efficient; the latter has the bias gradient"),
    Rule(None, None, None, "fused", "the device's own choice"),
)


@lru_cache(maxsize=1)
def has_tiles() -> bool:
    """Return whether this processor multiplies matrices in tiles (AMX)."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(ask()) if ask else False


@lru_cache(maxsize=4096)
def choose(device: str, dtype: torch.dtype, bias_grad: bool, grad: bool, length: int) -> str:
    """Return the kernel's name for this situation; each situation is logged once."""
    for rule in RULES:
        wanted = (rule.device, rule.dtype, rule.bias_grad, rule.grad)
        fits = all(w is None or w == h for w, h in zip(wanted, (device, dtype, bias_grad, grad), strict=True))
        if fits and length >= rule.length and (not rule.tiles or has_tiles()):
            log.debug(
                "attention over %s tokens on %s, %s, bias gradient %s, gradient %s: %s (%s)",
                length,
                device,
                dtype,
                bias_grad,
                grad,
                rule.kernel,
                rule.why,
            )
            return rule.kernel
    raise AssertionError("the last rule matches everything")


def attend(
    qkv: Tensor,
    bias: Tensor | None,
    key_padding: Tensor | None,
    dropout: float = 0.0,
    kernel: str | None = None,
) -> Tensor:
    """Scaled dot-product attention with an additive bias.

    Args:
        qkv: Queries, keys and values (B, L, 3, H, K), unscaled.
        bias: (1, H, L, L) or (B, H, L, L), or None.
        key_padding: (B, L) bool, True where a key must not be seen; None where none is padded.
        dropout: Probability of dropping an attention weight.
        kernel: Name of a kernel instead of the table's choice.

    Returns:
        (B, L, H K), the heads joined.
    """
    recording = torch.is_grad_enabled()
    bias_grad = bias is not None and bias.requires_grad and recording
    grad = bias_grad or (qkv.requires_grad and recording)
    name = kernel or choose(qkv.device.type, qkv.dtype, bias_grad, grad, qkv.shape[1])
    return KERNELS[name](qkv, bias, key_padding, dropout)


def fused(qkv: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float) -> Tensor:
    """PyTorch's fused attention; bias and padding become one additive mask."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    mask = None if bias is None else bias.to(q.dtype)
    if key_padding is not None:
        rows = torch.zeros(key_padding.shape, dtype=q.dtype, device=q.device)
        rows = rows.masked_fill(key_padding, float("-inf"))[:, None, None, :]
        mask = rows if mask is None else mask + rows
    return _joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout))


def _joined(out: Tensor) -> Tensor:
    return out.transpose(1, 2).flatten(2)


SHORT = 64  # in bfloat16, a softmax over fewer keys is faster by way of float32


class _SharedBias(torch.autograd.Function):
    """Plain products around one buffer of scores, which become the weights in place.

    The bias is never expanded over the batch. The backward pass needs queries, keys, values and weights.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, bias: Tensor | None, key_padding: Tensor | None) -> Tensor:
        batch, length, _, heads, size = qkv.shape
        parts = qkv.new_empty(3, batch, heads, length, size)
        parts.copy_(qkv.permute(2, 0, 3, 1, 4))
        q, k, v = parts.view(3, batch * heads, length, size).unbind(0)
        q.mul_(size**-0.5)
        scores = torch.bmm(q, k.transpose(1, 2))
        by_head = scores.view(batch, heads, length, length)
        if bias is not None:
            by_head.add_(bias)
        if key_padding is not None:
            by_head.masked_fill_(key_padding[:, None, None, :], float("-inf"))
        if scores.dtype == torch.bfloat16 and length < SHORT:
            weights = torch.softmax(scores, -1, dtype=torch.float32)
            narrow = weights.to(scores.dtype)
        else:
            weights = narrow = torch.softmax(scores, -1, out=scores)
        ctx.save_for_backward(parts, weights, narrow if narrow is not weights else None)
        ctx.bias = None if bias is None else (bias.shape[0], bias.dtype)
        return _joined(torch.bmm(narrow, v).view(batch, heads, length, size))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        parts, weights, narrow = ctx.saved_tensors
        _, batch, heads, length, size = parts.shape
        q, k, v = parts.view(3, batch * heads, length, size).unbind(0)
        grad = grad.view(batch, length, heads, size).transpose(1, 2).reshape(batch * heads, length, size)
        result = torch.empty_like(parts)
        q_grad, k_grad, v_grad = result.view(3, batch * heads, length, size).unbind(0)
        torch.bmm((weights if narrow is None else narrow).transpose(1, 2), grad, out=v_grad)
        scores_grad = torch.bmm(grad, v.transpose(1, 2)).to(weights.dtype)
        torch.ops.aten._softmax_backward_data.out(
            scores_grad, weights, -1, weights.dtype, grad_input=scores_grad
        )
        bias_grad = None
        if ctx.needs_input_grad[1]:
            count, dtype = ctx.bias
            bias_grad = scores_grad.view(batch, heads, length, length)
            bias_grad = (bias_grad.sum(0, keepdim=True) if count == 1 else bias_grad).to(dtype)
        scores_grad = scores_grad.to(q.dtype)
        torch.bmm(scores_grad, k, out=q_grad).mul_(size**-0.5)
        torch.bmm(scores_grad.transpose(1, 2), q, out=k_grad)
        return result.permute(1, 3, 0, 2, 4).contiguous(), bias_grad, None


def shared_bias(qkv: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float) -> Tensor:
    """Plain products; the bias is added in place and never expanded over the batch."""
    if dropout:
        return plain(qkv, bias, key_padding, dropout)
    return _SharedBias.apply(qkv, bias, key_padding)  # type: ignore[no-untyped-call, no-any-return]


def plain(qkv: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float) -> Tensor:
    """The formula, step by step, with a softmax in float32."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-2, -1))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if bias is not None:
        scores = scores + bias
    if key_padding is not None:
        scores = scores.masked_fill(key_padding[:, None, None, :], float("-inf"))
    weights = F.dropout(scores.softmax(-1).to(q.dtype), dropout)
    return _joined(torch.matmul(weights, v))


KERNELS: dict[str, Callable[[Tensor, Tensor | None, Tensor | None, float], Tensor]] = {
    "fused": fused,
    "shared_bias": shared_bias,
    "plain": plain,
}
