"""Last checkpoint of a run (``last.ckpt``)."""

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from onepeace_pl.callbacks.interfaces import is_trial_run
from onepeace_pl.errors import UserError
from onepeace_pl.training.resume import progress_of

LAST = "last.ckpt"


def last_checkpoint(trainer: L.Trainer) -> Path:
    """Return where the run's ``last.ckpt`` is, or would be."""
    return Path(trainer.default_root_dir, "checkpoints", LAST)


def save_last(trainer: L.Trainer) -> Path:
    """Write ``last.ckpt``. All processes must call this."""
    path = last_checkpoint(trainer)
    trainer.save_checkpoint(path)
    return path


class LastCheckpoint(Checkpoint):
    """Writes ``RUN/checkpoints/last.ckpt`` after every epoch and validation, and at the end of training.

    Lightning's own ``save_last`` is as old as the best checkpoint: it is written only when that is. Must come after
    that which writes the best, whose state it saves.

    Args:
        every_n_steps: Write after every so many updates too.
    """

    def __init__(self, every_n_steps: int | None = None) -> None:
        super().__init__()
        if every_n_steps is not None and every_n_steps < 1:
            raise UserError(f"every_n_steps {every_n_steps} must be at least 1, or null")
        self.every_n_steps = every_n_steps
        self._saved = 0
        self._late = False

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Save where it is time: not before the last step is logged, or a run killed meanwhile never logs it."""
        due = self.every_n_steps and trainer.global_step % self.every_n_steps == 0
        if (due or self._late) and batch_idx % trainer.accumulate_grad_batches == 0:
            self._save(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save after a validation in the middle of an epoch, if gradients are accumulated when their window ends."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.is_last_batch:
            self._late = progress_of(trainer).pending > 0
            if not self._late:
                self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save after an epoch."""
        self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save what has not been saved yet."""
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        if not is_trial_run(trainer) and self._saved != trainer.global_step:
            self._saved, self._late = trainer.global_step, False
            save_last(trainer)
