"""Communication between the processes of a run."""

from __future__ import annotations

import os
from typing import NoReturn

import lightning as L
from lightning.fabric.utilities.rank_zero import rank_zero_only

from onepeace_pl.errors import UserError


def rank_and_size(trainer: L.Trainer | None) -> tuple[int, int]:
    """Return the number of this process and of all, as the strategy says (data-parallel ones only)."""
    ranks = None if trainer is None else trainer.distributed_sampler_kwargs
    return (ranks["rank"], ranks["num_replicas"]) if ranks else (0, 1)


def is_first_rank() -> bool:
    """Whether this is the first of all processes, also before the strategy knows."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def stop_together(message: str) -> NoReturn:
    """Stop a run whose processes all failed for the same reason; only the first reports it.

    Processes that another one has launched leave with exit code 0: Lightning kills all others, the one that is about
    to say what is wrong among them, when it sees one of these fail.

    Raises:
        UserError: In the first process.
    """
    if is_first_rank():
        raise UserError(message)
    raise SystemExit(2 if os.environ.get("LOCAL_RANK", "0") == "0" else 0)
