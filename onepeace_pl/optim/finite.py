"""Only finite numbers reach weights, moments and checkpoints: updates with others are skipped, on all ranks alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from onepeace_pl.utils.ranks import stop_together

_NAMED = 16  # rows in a message


def gradient_norm(parameters: Iterable[nn.Parameter], flat_shards: bool = False) -> Tensor:
    """Return the Euclidean norm of all gradients together, the same on every rank.

    Args:
        parameters: Whole, or sharded by FSDP2.
        flat_shards: Each rank holds gradients of its own, as under the older FSDP.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    if flat_shards:
        norm = norm.square()
        dist.all_reduce(norm)
        norm = norm.sqrt()
    return norm


class UpdateGuard:
    """Finds updates to skip: the loss of a rank, or the norm of the gradients, is infinite or not a number.

    Args:
        limit: The run stops after so many in a row.

    Attributes:
        skipped: Skipped updates of the whole run.
        in_a_row: Skipped updates since the last that was made.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"max_skipped_updates must be at least 1, not {limit}")
        self.limit = limit
        self.skipped = self.in_a_row = 0
        self._window: list[tuple[Tensor, Sequence[str]]] = []

    def add(self, loss: Tensor, ids: Sequence[str]) -> None:
        """Take in the loss of a batch and the ids of its rows."""
        self._window.append((torch.isfinite(loss.detach()), ids))

    def passes(self, norm: Tensor) -> bool:
        """Say whether the update may be made, from ``norm`` and the losses added since the last call.

        Every rank must call it. Ranks agree by one number; the host waits for it, since what comes next depends on it.

        Raises:
            ValueError: It may not, as often in a row as the limit says.
        """
        finite = [torch.isfinite(norm), *(finite.to(norm.device) for finite, _ in self._window)]
        agreed = torch.stack([f.reshape(()) for f in finite]).all().float()
        if dist.is_initialized() and dist.get_world_size() > 1:
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
        mine = [[name for finite, ids in self._window if not finite for name in ids]]
        mine.append([name for _, ids in self._window for name in ids])
        every = [mine]
        if dist.is_initialized() and dist.get_world_size() > 1:
            every = [[]] * dist.get_world_size()
            dist.all_gather_object(every, mine)
        bad, read = ([name for rank in every for name in rank[kind]] for kind in (0, 1))
        what, rows = ("loss", bad) if bad else ("gradient norm", read)
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        stop_together(
            f"the {what} is not finite, {self.in_a_row} updates in a row; the rows of the last: "
            f"{', '.join(rows[:_NAMED])}{more}. "
            "Look at them, or lower the learning rate; weights have stayed finite"
        )


def check_finite(module: nn.Module) -> None:
    """Refuse to save weights that are not finite. Every rank must call it.

    Raises:
        ValueError: A weight that trains is infinite or not a number; the message names it.
    """
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    own = {name: p.to_local() if hasattr(p, "to_local") else p for name, p in trained.items()}
    if not own:
        return
    finite = torch.stack([torch.isfinite(p).all() for p in own.values()]).float()
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(finite, dist.ReduceOp.MIN)
    wrong = [name for name, fine in zip(own, finite.tolist(), strict=True) if not fine]
    if wrong:
        stop_together(
            f"weights are not finite any more ({wrong[0]} and {len(wrong) - 1} others), so they are not saved; go on "
            "from an older checkpoint with a lower learning rate"
        )
