"""Memory-efficient InfoNCE, tiled over queries: the loss of cross-modal and of denoising contrastive learning.

Shapes: M queries, N keys, D width.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from onepeace_pl.errors import UserError


class InfoNCE(NamedTuple):
    """Output of :func:`info_nce`.

    Attributes:
        loss: Scalar, mean over the queries; 0 without queries.
        accuracy: Detached scalar, top-1 accuracy; 0 without queries.
    """

    loss: Tensor
    accuracy: Tensor


class _TiledInfoNCE(torch.autograd.Function):
    """Loss and gradients in one pass over tiles of queries; the logits of only one tile are in memory.

    The loss is a scalar, hence its gradients are known up to one factor as soon as the logits are. Computing
    them in the forward pass saves the second product of queries and keys that a backward pass would need, and
    neither queries nor keys are saved.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        targets: Tensor,
        scale: Tensor,
        smoothing: float,
        tile: int,
        train: bool,
        operands: torch.dtype | None,
        query_contents: Tensor | None,
        key_contents: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        wants_queries, wants_keys, _, wants_scale = (train and need for need in ctx.needs_input_grad[:4])
        with torch.autocast(queries.device.type, enabled=False):
            exact = torch.promote_types(torch.promote_types(queries.dtype, keys.dtype), torch.float32)
            count, keys_count = queries.shape[0], keys.shape[0]
            wide_keys, factor = keys.to(exact), scale.to(exact)
            # With a single key there are no negatives: the loss is 0, and there is no class to smooth to.
            spread: float | Tensor = smoothing / (keys_count - 1) if keys_count > 1 else 0.0
            peak: float | Tensor = 1.0 - smoothing - spread if keys_count > 1 else 1.0
            key_sum = wide_keys.sum(0)
            loss = queries.new_zeros((), dtype=exact)
            hits = queries.new_zeros((), dtype=exact)
            query_grads: list[Tensor] = []
            key_grad = torch.zeros_like(wide_keys) if wants_keys else None
            scale_grad = torch.zeros_like(loss)
            for start in range(0, count, tile):
                rows = queries[start : start + tile].to(exact)
                target = targets[start : start + tile, None]
                logits = _product(rows, wide_keys.T, operands).mul_(factor)
                same = None
                if query_contents is not None and key_contents is not None:
                    same = _equal(query_contents[start : start + tile], key_contents).scatter_(
                        1, target, False
                    )
                    others = (keys_count - 1 - same.sum(1)).to(exact)
                    spread = torch.where(others > 0, smoothing / others.clamp(min=1), 0.0)
                    peak = torch.where(others > 0, 1.0 - smoothing - spread, 1.0)
                    smooth = spread * logits.masked_fill(same, 0.0).sum(1)
                    logits.masked_fill_(same, -math.inf)
                else:
                    # The sum of a row's logits needs no logits: sum_k q.k = q.(sum_k k).
                    smooth = (spread * factor) * (rows @ key_sum)
                top, best = logits.max(1)
                hit = logits.gather(1, target)
                hits += (best == target[:, 0]).sum()
                slope = logits.sub_(top[:, None]).exp_()  # one exponential for the loss and its gradient
                total = slope.sum(1)
                lse = top + total.log()
                loss += (lse - peak * hit[:, 0] - smooth).sum()
                if not (wants_queries or wants_keys or wants_scale):
                    continue
                slope.div_(total[:, None])
                own = peak[:, None] if isinstance(peak, Tensor) else peak
                slope.scatter_(1, target, slope.gather(1, target) - own)
                if same is not None:
                    slope.sub_(torch.as_tensor(spread)[:, None] * ~same)
                elif spread:
                    slope.sub_(spread)
                if wants_queries or wants_scale:
                    pull = _product(slope, wide_keys, operands)
                    scale_grad += (pull * rows).sum()
                    if wants_queries:
                        query_grads.append(pull.mul_(factor / count))
                if key_grad is not None:
                    if operands is None:
                        key_grad.addmm_(slope.T, rows)
                    else:
                        key_grad.add_(_product(slope.T, rows, operands))
            share = 1.0 / max(count, 1)
            query_grad = None
            if wants_queries:
                query_grad = torch.cat(query_grads) if query_grads else torch.zeros_like(queries, dtype=exact)
            if key_grad is not None:
                key_grad.mul_(factor * share)
            ctx.save_for_backward(query_grad, key_grad, scale_grad * share if wants_scale else None)
            ctx.dtypes = queries.dtype, keys.dtype, scale.dtype
        accuracy = hits * share
        ctx.mark_non_differentiable(accuracy)
        return loss * share, accuracy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # Cast last: a loss scaled up against float16's underflow must reach wide gradients.
        queries, keys, scale = (
            None if grad is None else (grad * loss_grad).to(dtype)
            for grad, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return queries, keys, None, scale, None, None, None, None, None, None


def _product(a: Tensor, b: Tensor, operands: torch.dtype | None) -> Tensor:
    """Product (M, N) of (M, D) and (D, N), rounded to a dtype or not; sums and result keep theirs."""
    if operands is None:
        return a @ b
    if a.device.type == "cuda":
        return torch.mm(a.to(operands), b.to(operands), out_dtype=a.dtype)
    return a.to(operands).to(a.dtype) @ b.to(operands).to(
        b.dtype
    )  # elsewhere products round their result, too


def _equal(a: Tensor, b: Tensor) -> Tensor:
    """Return (M, N) bool, whether rows of (M, K) and (N, K) agree in any column."""
    same = a[:, None, 0] == b[None, :, 0]
    for column in range(1, a.shape[1]):
        same |= a[:, None, column] == b[None, :, column]
    return same


def info_nce(
    queries: Tensor,
    keys: Tensor,
    targets: Tensor,
    scale: Tensor | float,
    smoothing: float = 0.0,
    tile: int = 1024,
    contents: tuple[Tensor, Tensor] | None = None,
    operands: torch.dtype | None = None,
) -> InfoNCE:
    """InfoNCE: cross-entropy of every query's similarities to all keys, with memory linear in both counts.

    With logits ``z = scale * queries @ keys.T``, ``e' = smoothing / (N - 1)``, the loss of a query is
    ``lse(z) - (1 - smoothing - e') z[target] - e' sum(z)``: the target has mass ``1 - smoothing`` and every
    other key ``e'``. Only ``tile`` rows of logits are in memory at a time; sums are in float32 (float64 for
    float64) whatever the inputs are, and gradients have the inputs' dtypes. There is no host synchronisation.

    Args:
        queries: (M, D), usually unit vectors.
        keys: (N, D); they receive a gradient if they require one.
        targets: (M,) int64, index of each query's positive key.
        scale: Logit scale (inverse temperature); a scalar tensor may receive a gradient.
        smoothing: Label smoothing in [0, 1).
        tile: Number of queries whose logits are in memory at a time.
        contents: (M, K) and (N, K) int64, K content hashes of each query and each key. A key that agrees with a query
            in any of them is no negative of it. None takes all other keys as negatives.
        operands: Dtype to which the factors of matrix products are rounded, such as ``torch.bfloat16``; sums and logits
            stay in float32. None rounds nothing.

    Returns:
        Mean loss and top-1 accuracy, both float32 (float64) scalars. Without queries both are 0, and the loss
        still has a graph.

    Raises:
        UserError: Shapes do not fit, ``smoothing`` is out of range or ``tile`` is not positive.

    Source: arXiv 2305.11172, section 3.3.
    """
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1]:
        raise UserError(
            f"queries and keys must be (M, D) and (N, D), not {tuple(queries.shape)} and {tuple(keys.shape)}"
        )
    if targets.shape != queries.shape[:1]:
        raise UserError(f"targets must be ({len(queries)},), one per query, not {tuple(targets.shape)}")
    if queries.shape[0] and not keys.shape[0]:
        raise UserError(f"{len(queries)} queries have no key to choose from: keys is {tuple(keys.shape)}")
    if not 0.0 <= smoothing < 1.0:
        raise UserError(f"smoothing must be in [0, 1), not {smoothing}")
    if tile < 1:
        raise UserError(f"tile must be at least 1, not {tile}")
    if not isinstance(scale, Tensor):
        # Created on the device: a copy from the host would synchronise.
        wide = torch.promote_types(queries.dtype, torch.float32)
        scale = torch.full((), scale, dtype=wide, device=queries.device)
    query_contents, key_contents = contents or (None, None)
    if contents is not None and (len(contents[0]), len(contents[1])) != (len(queries), len(keys)):
        raise UserError(
            f"contents must be of {len(queries)} queries and {len(keys)} keys, not of other numbers"
        )
    loss, accuracy = _TiledInfoNCE.apply(
        queries,
        keys,
        targets,
        scale,
        smoothing,
        tile,
        torch.is_grad_enabled(),
        operands,
        query_contents,
        key_contents,
    )
    return InfoNCE(loss, accuracy)
