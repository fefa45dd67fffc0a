"""Which attention kernel runs where: one visible table, and the kernels themselves.

PyTorch's fused attention silently falls back to its slowest path when the additive bias needs a gradient on CPU,
and is slower than plain products in bfloat16 there. So the choice is made here, by rules that can be read, printed
(``python -m onepeace_pl info``) and measured (``python -m onepeace_pl bench attention``).

Shapes: B batch, H heads, L tokens, K head size. Biases are (1, H, L, L) shared by the batch or (B, H, L, L).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """One row of the table; None matches anything."""

    device: str | None
    dtype: torch.dtype | None
    bias_grad: bool | None
    kernel: str
    why: str


RULES = (
    Rule("cpu", torch.float32, False, "fused", "1.5 times faster than plain products at 257 tokens"),
    Rule(
        "cpu",
        None,
        None,
        "shared_bias",
        "fused attention has no bias gradient on CPU and is slow in bfloat16",
    ),
    Rule("cuda", None, None, "fused", "cuDNN or memory-efficient; the latter has the bias gradient"),
    Rule(None, None, None, "fused", "the device's own choice"),
)


@lru_cache(maxsize=256)
def choose(device: str, dtype: torch.dtype, bias_grad: bool) -> str:
    """Return the kernel's name for this situation; each situation is logged once."""
    for rule in RULES:
        wanted = (rule.device, rule.dtype, rule.bias_grad)
        if all(w is None or w == have for w, have in zip(wanted, (device, dtype, bias_grad), strict=True)):
            log.debug(
                "attention on %s, %s, bias gradient %s: %s (%s)",
                device,
                dtype,
                bias_grad,
                rule.kernel,
                rule.why,
            )
            return rule.kernel
    raise AssertionError("the last rule matches everything")


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_padding: Tensor | None,
    dropout: float = 0.0,
    kernel: str | None = None,
) -> Tensor:
    """Scaled dot-product attention with an additive bias.

    Args:
        q: Queries (B, H, L, K), unscaled.
        k: Keys (B, H, L, K).
        v: Values (B, H, L, K).
        bias: (1, H, L, L) or (B, H, L, L), or None.
        key_padding: (B, L) bool, True where a key must not be seen; None where none is padded.
        dropout: Probability of dropping an attention weight.
        kernel: Name of a kernel instead of the table's choice.

    Returns:
        (B, H, L, K).
    """
    bias_grad = bias is not None and bias.requires_grad and torch.is_grad_enabled()
    name = kernel or choose(q.device.type, q.dtype, bias_grad)
    return KERNELS[name](q, k, v, bias, key_padding, dropout)


def fused(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float
) -> Tensor:
    """PyTorch's fused attention; bias and padding become one additive mask."""
    mask = None if bias is None else bias.to(q.dtype)
    if key_padding is not None:
        rows = torch.zeros(key_padding.shape, dtype=q.dtype, device=q.device)
        rows = rows.masked_fill(key_padding, float("-inf"))[:, None, None, :]
        mask = rows if mask is None else mask + rows
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)


def shared_bias(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float
) -> Tensor:
    """Plain products; the bias is added in place and never expanded over the batch."""
    scores = torch.matmul(q * (1.0 / math.sqrt(q.shape[-1])), k.transpose(-2, -1))
    if bias is not None:
        scores += bias
    if key_padding is not None:
        scores = scores.masked_fill_(key_padding[:, None, None, :], float("-inf"))
    weights = scores.softmax(-1)
    if dropout:
        weights = F.dropout(weights, dropout)
    return torch.matmul(weights, v)


def reference(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float
) -> Tensor:
    """The original's way, for comparison only: bias expanded over the batch, softmax in fp32."""
    batch, heads, length, _ = q.shape
    full = q.new_zeros(batch, heads, length, length)
    if bias is not None:
        full = full + bias.expand(batch, -1, -1, -1)
    if key_padding is not None:
        full = full.masked_fill(key_padding[:, None, None, :], float("-inf"))
    scores = torch.matmul(q * (1.0 / math.sqrt(q.shape[-1])), k.transpose(-2, -1)) + full
    weights = F.dropout(scores.float().softmax(-1).to(q.dtype), dropout)
    return torch.matmul(weights, v)


KERNELS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, float], Tensor]] = {
    "fused": fused,
    "shared_bias": shared_bias,
    "reference": reference,
}
