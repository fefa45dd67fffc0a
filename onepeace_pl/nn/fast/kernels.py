"""Attention kernels and the table by which one is chosen.

PyTorch's fused attention silently falls back to its slowest path when the additive bias needs a gradient on
CPU, and its backward pass is slow there in bfloat16. So the choice is made here, by rules that can be
printed (``python -m onepeace_pl info``) and measured (``python -m onepeace_pl bench attention``).

Shapes: B batch, H heads, L tokens, K head size. Biases are (1, H, L, L) shared by the batch or (B, H, L, L).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.nn.fast.packing import Packing
from onepeace_pl.nn.fast.shared_bias import shared_bias_of_rows
from onepeace_pl.nn.sequence import Segment


@dataclass(frozen=True)
class KernelRule:
    """One row of the table; None matches anything.

    Attributes:
        device: Kind of device.
        dtype: Dtype of queries, keys and values.
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
    KernelRule("cpu", torch.float32, False, "fused", "no gradient: 1.3 to 3 times faster", grad=False),
    KernelRule("cpu", torch.float32, False, "fused", "long: its backward pass pays, too", length=400),
    KernelRule(
        "cpu",
        torch.bfloat16,
        False,
        "fused",
        "no gradient, matrix tiles: 2 times faster at 257 tokens",
        grad=False,
        length=64,
        tiles=True,
    ),
    KernelRule("cpu", None, None, "shared_bias", "fused attention has no bias gradient on CPU"),
    KernelRule("cuda", None, None, "fused", "cuDNN or memory-efficient; the latter has the bias gradient"),
    KernelRule(None, None, None, "fused", "the device's own choice"),
)


@lru_cache(maxsize=1)
def has_tiles() -> bool:
    """Whether this processor has matrix tiles (AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())


def choose(device: str, dtype: torch.dtype, bias_grad: bool, grad: bool, length: int) -> str:
    """Name of the kernel for this situation."""
    for rule in RULES:
        wanted = (rule.device, rule.dtype, rule.bias_grad, rule.grad)
        fits = all(w is None or w == h for w, h in zip(wanted, (device, dtype, bias_grad, grad), strict=True))
        if fits and length >= rule.length and (not rule.tiles or has_tiles()):
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
    return KERNELS[kernel or _choose(qkv, bias, qkv.shape[1])](qkv, bias, key_padding, dropout)


def _choose(qkv: Tensor, bias: Tensor | None, length: int) -> str:
    recording = torch.is_grad_enabled()
    bias_grad = bias is not None and bias.requires_grad and recording
    grad = bias_grad or (qkv.requires_grad and recording)
    kernel = choose(qkv.device.type, qkv.dtype, bias_grad, grad, length)
    # a compiler fuses the formula by itself, and knows nothing of a backward pass written by hand
    return "plain" if kernel == "shared_bias" and torch.compiler.is_compiling() else kernel


def attend_rows(
    qkv: Tensor, packing: Packing, heads: int, biases: Sequence[Tensor | None], dropout: float = 0.0
) -> Tensor:
    """Run :func:`attend` for each of several packed sequences.

    Args:
        qkv: Queries, keys and values (N, 3 H K), unscaled.
        packing: Rows of each sequence.
        heads: H.
        biases: For each sequence (1 or B, H, L, L) or None.
        dropout: Probability of dropping an attention weight.

    Returns:
        (N, H K).
    """
    names = {_choose(qkv, bias, length) for bias, length in zip(biases, packing.lengths, strict=True)}
    if names == {"shared_bias"} and not dropout:
        return shared_bias_of_rows(qkv, packing, heads, biases)
    outputs = [
        attend(one.view(*one.shape[:2], 3, heads, -1), bias, padding, dropout)
        for one, bias, padding in zip(packing.unpack(qkv), biases, packing.paddings, strict=True)
    ]
    return packing.pack(outputs)


def fused(qkv: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float) -> Tensor:
    """PyTorch's fused attention; bias and padding become one additive mask."""
    if not torch.is_grad_enabled():  # PyTorch looks at what could need a gradient, not at what does
        qkv, bias = qkv.detach(), None if bias is None else bias.detach()
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    mask = None if bias is None else bias.to(q.dtype)
    if key_padding is not None:
        rows = torch.zeros(key_padding.shape, dtype=q.dtype, device=q.device)
        rows = rows.masked_fill(key_padding, float("-inf"))[:, None, None, :]
        mask = rows if mask is None else mask + rows
    return _joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout))


def _joined(out: Tensor) -> Tensor:
    return out.transpose(1, 2).flatten(2)


def shared_bias(qkv: Tensor, bias: Tensor | None, key_padding: Tensor | None, dropout: float) -> Tensor:
    """Plain products; the bias is added in place and never expanded over the batch."""
    if dropout:
        return plain(qkv, bias, key_padding, dropout)
    batch, length, _, heads, _ = qkv.shape
    packing = Packing([batch], [(Segment("", 0, length),)], [key_padding])
    return packing.unpack(shared_bias_of_rows(qkv.flatten(2).flatten(0, 1), packing, heads, [bias]))[0]


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
