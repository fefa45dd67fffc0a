"""Data loader that resumes in the middle of an epoch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import torch
from torch.utils.data import DataLoader

from onepeace_pl.data.batches import Batch
from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows, Sample
from onepeace_pl.data.loading.samplers import EpochBatchSampler, Place
from onepeace_pl.utils.parent import end_with_parent

LoaderState: TypeAlias = int | str | list[int]
LAYOUT: Final = ("rows", "batch_size", "world_size", "shuffle")


class ResumableLoader(DataLoader[Sample]):
    """Data loader that resumes in the middle of an epoch.

    The position is set by the run (:class:`onepeace_pl.training.resume.ResumableModule`): a loader knows which batches
    it has yielded, not which were trained on.

    Args:
        rows: Dataset of prepared rows.
        batches: Batch sampler.
        collate: Makes batches of samples.
        num_workers: Processes that prepare batches; 0 prepares them in the main process. Batches are the
            same.
        pin_memory: Copy batches into page-locked memory.
    """

    def __init__(
        self,
        rows: PreparedRows,
        batches: EpochBatchSampler,
        collate: Collator,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__(
            rows,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            worker_init_fn=end_with_parent,
            # Its own generator: the loader's draw for its workers must not move the global one.
            generator=torch.Generator().manual_seed(batches.seed),
        )
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # Nothing happens before the first batch is asked for: a run that goes on sets the epoch only after this.
        yield from super().__iter__()

    def state_dict(self) -> dict[str, LoaderState]:
        """Return layout and, of a computed order, where the epoch was begun or resumed; the run adds the position."""
        if self.batches.shuffle == "stored":
            return {**self.layout}
        return {**self.layout, "begun": list(self.batches.place())}

    def load_state_dict(self, state: Mapping[str, LoaderState]) -> None:
        """Resume at ``batches`` of ``epoch``.

        A stored order is resumed with the same layout, a computed one with the same rows; others restart the epoch,
        with a warning.
        """
        then, now = {name: state[name] for name in LAYOUT if name in state}, self.layout
        if self.batches.shuffle == "stored":
            position = resume_position(then, now, state)
            if position is not None:
                self.batches.resume(*position)
            return
        position = resume_position(_without_batches(then), _without_batches(now), state)
        if position is not None:
            epoch, batches = position
            self.batches.resume_after(epoch, _rows_read(state, 0 if self.batches.fixed else epoch, batches))

    @property
    def layout(self) -> dict[str, int | str]:
        """Numbers that must be the same to resume in the middle of an epoch of a stored order."""
        batches = self.batches
        sizes = {"rows": batches.size, "batch_size": batches.batch_size, "world_size": batches.world_size}
        return {**sizes} if batches.shuffle == "stored" else {**sizes, "shuffle": batches.shuffle}


def _without_batches(layout: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in layout.items() if name in ("rows", "shuffle")}


def _rows_read(state: Mapping[str, Any], epoch: int, batches: int) -> int:
    """Return how many rows of a computed order all ranks had read."""
    step: int = state["batch_size"] * state["world_size"]
    begun = Place(*state["begun"])
    return begun.row + (batches - begun.batch) * step if begun.epoch == epoch else batches * step


def resume_position(then: object, now: object, state: Mapping[str, object]) -> tuple[int, int] | None:
    """Return epoch and next batch to resume at; None, with a warning, where that is not possible.

    Args:
        then: The layout that it was saved with.
        now: The layout that it has now.
        state: State of the loader, with ``epoch`` and ``batches``.
    """
    epoch, batches = state.get("epoch"), state.get("batches")
    if not isinstance(epoch, int) or not isinstance(batches, int):
        reason = (
            "the checkpoint has no position in its epoch (derive its LightningModule from ResumableModule)"
        )
    elif then != now:
        reason = f"the run was saved with {then} and goes on with {now}"
    else:
        return epoch, batches
    warnings.warn(
        f"{reason}: its epoch is reshuffled, so some rows occur twice and others not at all", stacklevel=3
    )
    return None
