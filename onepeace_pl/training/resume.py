"""Exact resuming: a checkpoint holds the position of the run, whichever hook it was written in.

Lightning saves its loops' counters as they are in the middle of a hook, and guesses on loading which hook that was;
it guesses wrong at the end of an epoch, in the middle of an accumulation window and during a validation. So
:class:`ResumableModule` rewrites them on saving: finished epochs, batches of the next that the weights have seen, and
whether a validation is due. Draws are keyed by that position, so that no generator's state need be saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch

from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.utils.seeding import run_seed, seed_draws

CheckpointDict = dict[str, Any]
"""Lightning's checkpoint: state by name, of the type that the part of the run saves."""

_TRAINING, _EVALUATION = 0, 1  # draws of their own
_FIT, _EPOCH, _VALIDATION = "fit_loop", "epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress"


class Progress(NamedTuple):
    """Position of a training run.

    Attributes:
        epoch: Finished epochs.
        batches: Batches of the next epoch that updates have used.
        pending: Batches after them of which no update has used the gradients yet; they are read again.
        last: No batch of that epoch is left, only what Lightning does at its end.
        validate: A validation after the last update, if one is due there, has not ended.
    """

    epoch: int
    batches: int
    pending: int = 0
    last: bool = False
    validate: bool = False


def progress_of(trainer: L.Trainer) -> Progress:
    """Return the position of training, from within any hook."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    progress = trainer.fit_loop.epoch_loop.batch_progress
    batches: Any = progress.current
    seen: int = batches.processed
    whole: bool = progress.is_last_batch and batches.ready == seen  # not the one that has just been fetched
    closed: bool = epochs.started == epochs.processed
    if not seen or (closed and whole):
        return Progress(epochs.processed, 0)
    # a run that ends by `max_steps` closes its last epoch, even in the middle
    epoch = epochs.processed - closed
    pending = 0 if whole else seen % trainer.accumulate_grad_batches
    return Progress(epoch, seen - pending, pending, whole, not pending and _validation_is_open(trainer))


def _validation_is_open(trainer: L.Trainer) -> bool:
    loop = trainer.fit_loop.epoch_loop
    batches: Any = (loop.val_loop if trainer.validating else loop).batch_progress.current
    if trainer.validating:
        return not (loop.val_loop.batch_progress.is_last_batch and batches.ready == batches.completed)
    return bool(batches.processed != batches.completed)  # it comes after the hook


class ResumableModule(L.LightningModule):
    """A LightningModule whose resumed runs equal uninterrupted ones, with automatic optimisation.

    Loaders with ``state_dict`` find ``epoch`` and ``batches`` in their state, the next batch to read. Everything random
    in a training step is a function of seed, epoch, number of the batch and rank.
    """

    _max_steps: int | None = None

    def on_save_checkpoint(self, checkpoint: CheckpointDict) -> None:
        """Save the position of the run, in place of counters in the middle of a hook."""
        progress = progress_of(self.trainer)
        loop = checkpoint["loops"][_FIT]
        epoch, batches, begun = progress.epoch, progress.batches, progress.batches > 0
        loop["epoch_progress"] = _counts(epoch, open=begun)
        total = loop[_EPOCH]["total"]["processed"] - progress.pending
        loop[_EPOCH] = {
            "total": _counts(total)["total"],
            "current": _counts(batches)["current"],
            "is_last_batch": progress.last,
        }
        loop[_VALIDATION] = _counts(0, open=progress.validate) | {"is_last_batch": False}
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] = self.trainer.global_step
        for state in loop["state_dict"].get("combined_loader", ()):
            state.update(epoch=epoch, batches=batches)

    def on_load_checkpoint(self, checkpoint: CheckpointDict) -> None:
        """Let a run that was stopped in its last validation make it: no update is left, and Lightning would end."""
        fitting = self._trainer is not None and self.trainer.state.fn == "fit"
        if not fitting or not _validation_is_due(checkpoint):
            return
        loop = self.trainer.fit_loop.epoch_loop
        if 0 <= loop.max_steps <= checkpoint["global_step"]:
            self._max_steps, loop.max_steps = loop.max_steps, checkpoint["global_step"] + 1

    def on_train_start(self) -> None:
        """Correct the counters that Lightning restores from a checkpoint."""
        loop = self.trainer.fit_loop.epoch_loop
        if not loop.restarting:
            return
        # it forgets the loaders' states where they are made early, to count the updates of a run by epochs
        self.trainer.fit_loop._load_combined_loader_states()
        self._number_batches()
        due = False
        if not loop.batch_progress.current.completed:
            loop.restarting = False  # it would take the start of an epoch for the end of the last
        else:
            due = loop._should_check_val_fx(self.trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
            # where a validation belongs, the loop counts an update without making one, on its way to the next batch
            loop._batches_that_stepped = self.trainer.global_step - due
        if not due:  # nothing is left but the end of the run
            self._restore_max_steps()

    def _number_batches(self) -> None:
        """Count the batches that are left of the epoch, which are others where their size or the ranks have changed."""
        assert self.trainer.fit_loop._combined_loader is not None
        numbers = {
            loader.batches.place().batch
            for loader in self.trainer.fit_loop._combined_loader.flattened
            if isinstance(loader, ResumableLoader) and loader.batches.shuffle == "computed"
        }
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        if len(numbers) == 1 and not progress.is_last_batch:
            progress.load_state_dict({**progress.state_dict(), "current": _counts(numbers.pop())["current"]})

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Seed the draws of this step, and clear what earlier steps have logged."""
        results = self.trainer.fit_loop.epoch_loop._results
        for name in [
            n for n, r in results.items() if not (r.meta.on_epoch or n.startswith("on_train_batch_start"))
        ]:
            del results[name]
        seed_draws(run_seed(), _TRAINING, self.trainer.current_epoch, batch_idx, self.global_rank)

    def on_validation_start(self) -> None:
        """Seed the draws of this evaluation, so that they do not depend on those of training."""
        self._restore_max_steps()
        seed_draws(run_seed(), _EVALUATION, self.trainer.global_step, 0, self.global_rank)

    def _restore_max_steps(self) -> None:
        if self._max_steps is not None:
            self.trainer.fit_loop.epoch_loop.max_steps, self._max_steps = self._max_steps, None


def logged_until(checkpoint: Path) -> tuple[int, bool]:
    """Return the number of updates at a checkpoint, and whether the validation after the last is made again."""
    file = checkpoint / "meta.pt" if checkpoint.is_dir() else checkpoint  # a folder where it is sharded
    content = torch.load(file, mmap=True, map_location="cpu", weights_only=True)
    return content["global_step"], _validation_is_due(content)


def _validation_is_due(checkpoint: CheckpointDict) -> bool:
    counts = checkpoint["loops"][_FIT][_VALIDATION]["total"]
    return bool(counts["ready"] > counts["completed"])


def _counts(number: int, open: bool = False) -> dict[str, dict[str, int]]:
    """Return counters of so many events that are over, and perhaps one more that is not."""
    counts = {"ready": number + open, "started": number + open, "processed": number, "completed": number}
    return {"total": counts, "current": dict(counts)}
