"""All-gather of embeddings over ranks, with or without gradient.

Shapes: W ranks, B rows per rank, D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from onepeace_pl.errors import UserError


def world() -> tuple[int, int]:
    """Return (rank, world size); (0, 1) without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class _GatherRows(torch.autograd.Function):
    """All-gather whose backward is a reduce-scatter."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return _all_gather(rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        rank, ranks = world()
        own = grad.shape[0] // ranks
        if dist.get_backend() == "gloo":  # has no reduce-scatter of tensors in every release
            total = grad.contiguous().clone()
            dist.all_reduce(total)
            return total[rank * own : (rank + 1) * own]
        result = grad.new_empty((own, *grad.shape[1:]))
        dist.reduce_scatter_tensor(result, grad.contiguous())
        return result


def _all_gather(rows: Tensor) -> Tensor:
    _, ranks = world()
    result = rows.new_empty((ranks * rows.shape[0], *rows.shape[1:]))
    dist.all_gather_into_tensor(result, rows.detach().contiguous())
    return result


def gather_rows(rows: Tensor, gradient: bool = False) -> Tensor:
    """All-gather rows, in the order of ranks.

    Every rank must call it with the same number of rows, see :func:`check_equal_rows`.

    Args:
        rows: (B, D).
        gradient: Propagate the gradient, summed over ranks, to ``rows``. Otherwise the result is detached, this
            rank's own slice included.

    Returns:
        (W * B, D). Without a process group ``rows`` itself, detached unless ``gradient``.
    """
    if world()[1] == 1:
        return rows if gradient else rows.detach()
    if gradient:
        gathered: Tensor = _GatherRows.apply(rows)
        return gathered
    return _all_gather(rows)


def check_equal_rows(rows: Tensor) -> None:
    """Check that all ranks have the same number of rows, before a collective would hang.

    On an accelerator the check is a device-side assertion, without synchronisation.

    Args:
        rows: (B, D).

    Raises:
        UserError: The numbers of rows differ.
    """
    _, ranks = world()
    if ranks == 1:
        return
    mine = torch.full((1,), rows.shape[0], dtype=torch.int64, device=rows.device)
    sizes = _all_gather(mine)
    if rows.device.type != "cpu":
        torch._assert_async((sizes == mine).all(), "ranks have batches of different sizes; make them equal")
    elif len(set(sizes.tolist())) > 1:
        raise UserError(
            f"ranks have batches of {sizes.tolist()} rows; contrast across ranks needs equal ones: "
            "drop the last incomplete batch or use a sampler that evens them out"
        )
