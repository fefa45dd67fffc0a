"""Rows of every rank in one tensor, with or without a gradient back to the rank that made them.

Shapes: W ranks, B rows a rank, D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> tuple[int, int]:
    """Return (rank, number of ranks); (0, 1) where no process group is running."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class _GatherRows(torch.autograd.Function):
    """All-gather whose backward sums every rank's gradient for the rows of one rank: a reduce-scatter."""

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
    """Stack the rows of all ranks in the order of the ranks.

    Every rank has to call this with the same number of rows, see :func:`check_equal_rows`.

    Args:
        rows: (B, D).
        gradient: Whether the gradient of the result, summed over ranks, flows back into ``rows``. Otherwise
            the result is a constant, this rank's own slice included.

    Returns:
        (W * B, D). Without a process group it is ``rows`` itself, detached unless ``gradient``.
    """
    if world()[1] == 1:
        return rows if gradient else rows.detach()
    if gradient:
        return _GatherRows.apply(rows)  # type: ignore[no-any-return]
    return _all_gather(rows)


def check_equal_rows(rows: Tensor) -> None:
    """Refuse ranks whose number of rows differs, before a collective on them would hang.

    On an accelerator the check stays on the device (a device-side assertion), so that the host need not wait.

    Args:
        rows: (B, D).

    Raises:
        ValueError: If the ranks' numbers of rows differ.
    """
    _, ranks = world()
    if ranks == 1:
        return
    mine = torch.full((1,), rows.shape[0], dtype=torch.int64, device=rows.device)
    sizes = _all_gather(mine)
    if rows.device.type != "cpu":
        torch._assert_async((sizes == mine).all(), "ranks have batches of different sizes; make them equal")
    elif len(set(sizes.tolist())) > 1:
        raise ValueError(
            f"ranks have batches of {sizes.tolist()} rows; contrast across ranks needs equal ones: "
            "drop the last incomplete batch or use a sampler that evens them out"
        )
