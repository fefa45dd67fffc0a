"""Guard against NaN and infinity: non-finite updates are skipped on all ranks, and never saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from onepeace_pl.errors import UserError
from onepeace_pl.utils.ranks import stop_together

_NAMED = 16  # ids listed in a message


def gradient_norm(parameters: Iterable[nn.Parameter], flat_shards: bool = False) -> Tensor:
    """Return the global L2 norm of all gradients, the same on every rank.

    Args:
        parameters: Parameters, whole or sharded by FSDP2 (DTensor).
        flat_shards: Each rank holds gradients of its own shards, as under FSDP1.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    if flat_shards:
        norm = norm.square()
        dist.all_reduce(norm)
        norm = norm.sqrt()
    return norm


class UpdateGuard:
    """Skips updates with a non-finite loss on any rank, or a non-finite gradient norm.

    Args:
        limit: Number of consecutive skipped updates after which the run stops.

    Attributes:
        skipped: Skipped updates of the whole run.
        in_a_row: Consecutive skipped updates.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise UserError(f"max_skipped_updates must be at least 1, not {limit}")
        self.limit = limit
        self.skipped = self.in_a_row = 0
        self._window: list[tuple[Tensor, Sequence[str]]] = []

    def add(self, loss: Tensor, ids: Sequence[str]) -> None:
        """Add the loss of a batch and the ids of its rows."""
        self._window.append((torch.isfinite(loss.detach()), ids))

    def passes(self, norm: Tensor) -> bool:
        """Return whether ``norm`` and the losses added since the last call are finite on all ranks.

        Every rank must call it. The all-reduced flag is synchronised with the host, since the update depends on it.

        Raises:
            UserError: The limit of consecutive skipped updates is reached.
        """
        finite = [torch.isfinite(norm), *(finite.to(norm.device) for finite, _ in self._window)]
        agreed = torch.stack([f.reshape(()) for f in finite]).all()
        if dist.is_initialized() and dist.get_world_size() > 1:
            agreed = agreed.float()
            dist.all_reduce(agreed, dist.ReduceOp.MIN)
        passed = bool(agreed)
        if passed:
            self.in_a_row = 0
        else:
            self.skipped += 1
            self.in_a_row += 1
            if self.in_a_row >= self.limit:
                self._stop()
        self._window.clear()
        return passed

    def _stop(self) -> None:
        local = [[name for finite, ids in self._window if not finite for name in ids]]
        local.append([name for _, ids in self._window for name in ids])
        every = [local]
        if dist.is_initialized() and dist.get_world_size() > 1:
            every = [[]] * dist.get_world_size()
            dist.all_gather_object(every, local)
        bad, read = ([name for rank in every for name in rank[kind]] for kind in (0, 1))
        what, rows = ("loss", bad) if bad else ("gradient norm", read)
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        stop_together(
            f"the {what} is not finite, {self.in_a_row} updates in a row; the rows of the last: "
            f"{', '.join(rows[:_NAMED])}{more}. "
            "Look at them, or lower the learning rate; weights have stayed finite"
        )


def check_finite(module: nn.Module) -> None:
    """Check that all trained weights are finite, before they are saved. Every rank must call it.

    Raises:
        UserError: A trained weight is infinite or NaN; the message names it.
    """
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    local = {name: p.to_local() if isinstance(p, DTensor) else p for name, p in trained.items()}
    if not local:
        return
    finite = torch.stack([torch.isfinite(p).all() for p in local.values()]).float()
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(finite, dist.ReduceOp.MIN)
    wrong = [name for name, fine in zip(local, finite.tolist(), strict=True) if not fine]
    if wrong:
        stop_together(
            f"weights are not finite any more ({wrong[0]} and {len(wrong) - 1} others), so they are not saved; go on "
            "from an older checkpoint with a lower learning rate"
        )
