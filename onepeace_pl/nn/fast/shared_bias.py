"""Attention of several packed sequences by matrix products, with one score buffer per sequence.

Rows are read and written where they lie, so nothing is cut out of the packed matrix or joined again.

Shapes: B batch, H heads, L tokens, K head size, N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from onepeace_pl.nn.fast.packing import Packing

SHORT = 64  # in bfloat16, a softmax over fewer keys is faster by way of float32


def shared_bias_of_rows(qkv: Tensor, packing: Packing, heads: int, biases: Sequence[Tensor | None]) -> Tensor:
    """Attend within each sequence: (N, 3 H K) -> (N, H K). See :func:`onepeace_pl.nn.fast.kernels.attend_rows`."""
    out: Tensor = _SharedBias.apply(qkv, packing, heads, *biases)
    return out


class _SharedBias(torch.autograd.Function):
    """Scores become weights in place, and a bias is never expanded over the batch.

    Queries, keys and values are kept for the backward pass, which makes the weights again: they are the larger part.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, packing: Packing, heads: int, *biases: Tensor | None) -> Tensor:
        width = qkv.shape[1] // 3
        output = qkv.new_empty(qkv.shape[0], width)
        kept: list[Tensor | None] = []
        for i, (batch, length, bias) in enumerate(zip(packing.batches, packing.lengths, biases, strict=True)):
            parts = qkv.new_empty(3, batch, heads, length, width // heads)
            pieces = packing.pieces_of(i)
            for _, _, (_, first, last), start, stop in pieces:
                piece = qkv[start:stop].view(batch, last - first, 3, heads, -1)
                parts[:, :, :, first:last].copy_(piece.permute(2, 0, 3, 1, 4))
            q, k, v = _by_head(parts)
            q.mul_(q.shape[-1] ** -0.5)
            _, narrow = _weights(q, k, heads, bias, packing.paddings[i])
            context = torch.bmm(narrow, v).view(parts.shape[1:])
            for _, _, (_, first, last), start, stop in pieces:
                rows = output[start:stop].view(batch, last - first, heads, -1)
                rows.copy_(context[:, :, first:last].transpose(1, 2))
            kept += [parts, bias]
        ctx.save_for_backward(*kept)
        ctx.heads, ctx.packing = heads, packing
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        heads, packing, kept = ctx.heads, ctx.packing, ctx.saved_tensors
        result = grad.new_empty(grad.shape[0], 3 * grad.shape[1])
        bias_grads: list[Tensor | None] = []
        for i, batch in enumerate(packing.batches):
            parts, bias = kept[2 * i : 2 * i + 2]
            context_grad = parts.new_empty(parts.shape[1:])
            pieces = packing.pieces_of(i)
            for _, _, (_, first, last), start, stop in pieces:
                rows = grad[start:stop].view(batch, last - first, heads, -1)
                context_grad[:, :, first:last].copy_(rows.transpose(1, 2))
            parts_grad, scores_grad = _weigh_back(parts, bias, packing.paddings[i], context_grad)
            for _, _, (_, first, last), start, stop in pieces:
                rows = result[start:stop].view(batch, last - first, 3, heads, -1)
                rows.copy_(parts_grad[:, :, :, first:last].permute(1, 3, 0, 2, 4))
            if ctx.needs_input_grad[3 + i]:
                shared = bias.shape[0] == 1
                bias_grads.append(
                    (scores_grad.sum(0, keepdim=True) if shared else scores_grad).to(bias.dtype)
                )
            else:
                bias_grads.append(None)
        return result, None, None, *bias_grads


def _by_head(parts: Tensor) -> tuple[Tensor, ...]:
    """(3, B, H, L, K) -> three (B H, L, K)."""
    return parts.flatten(1, 2).unbind(0)


def _weights(
    q: Tensor, k: Tensor, heads: int, bias: Tensor | None, padding: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attention weights (B H, L, L), as computed and in the dtype of scaled queries and keys (B H, L, K)."""
    scores = torch.bmm(q, k.transpose(1, 2))
    by_head = scores.view(-1, heads, *scores.shape[1:])
    if bias is not None:
        by_head.add_(bias)
    if padding is not None:
        hidden = torch.zeros_like(padding, dtype=scores.dtype).masked_fill_(padding, float("-inf"))
        by_head.add_(hidden[:, None, None, :])
    if scores.dtype == torch.bfloat16 and scores.shape[-1] < SHORT:
        weights = torch.softmax(scores, -1, dtype=torch.float32)
        return weights, weights.to(scores.dtype)
    weights = torch.softmax(scores, -1, out=scores)
    return weights, weights


def _weigh_back(
    parts: Tensor, bias: Tensor | None, padding: Tensor | None, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of parts (3, B, H, L, K) and of scores (B, H, L, L) from that of the context (B, H, L, K)."""
    _, batch, heads, length, size = parts.shape
    q, k, v = _by_head(parts)
    weights, narrow = _weights(q, k, heads, bias, padding)
    grad = grad.view(batch * heads, length, size)
    result = torch.empty_like(parts)
    q_grad, k_grad, v_grad = _by_head(result)
    torch.bmm(narrow.transpose(1, 2), grad, out=v_grad)
    scores_grad = torch.bmm(grad, v.transpose(1, 2)).to(weights.dtype)
    torch.ops.aten._softmax_backward_data.out(scores_grad, weights, -1, weights.dtype, grad_input=scores_grad)
    rounded = scores_grad.to(q.dtype)
    torch.bmm(rounded, k, out=q_grad).mul_(size**-0.5)
    torch.bmm(rounded.transpose(1, 2), q, out=k_grad)
    return result, scores_grad.view(batch, heads, length, length)
