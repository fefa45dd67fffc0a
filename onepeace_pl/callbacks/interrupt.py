"""A run stopped by a signal leaves a checkpoint to go on from."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException


class StopOnSignal(Checkpoint):
    """Writes ``last.ckpt`` when SIGTERM or the first Ctrl+C stops the training.

    Lightning answers SIGTERM between two steps, where weights, optimiser and counters agree. The first Ctrl+C
    is passed on as SIGTERM for that reason: a KeyboardInterrupt may strike in the middle of an update. A stop
    during the sanity check, or before the first step, leaves nothing, since nothing is lost; a second Ctrl+C
    stops at once, without a checkpoint.
    """

    def __init__(self) -> None:
        super().__init__()
        self._former: Any = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take over SIGINT."""
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGINT, self._first_time)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give SIGINT back."""
        self._give_back()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Save, when a signal is the reason."""
        self._give_back()
        if not isinstance(exception, SIGTERMException) or trainer.sanity_checking or not trainer.global_step:
            return
        path = last_checkpoint(trainer)
        if isinstance(trainer.checkpoint_callback, ModelCheckpoint):
            trainer.checkpoint_callback.last_model_path = str(path)  # so that it goes on with this file
        if path.is_symlink() and trainer.is_global_zero:
            path.unlink()  # or the best checkpoint, to which it may point, would be written over
        trainer.save_checkpoint(path)
        rank_zero_info(
            f"stopped by a signal after step {trainer.global_step}; go on with: fit --ckpt_path {path}"
        )

    def _first_time(self, number: int, frame: FrameType | None) -> None:
        self._give_back()
        rank_zero_info("\nstopping after this step; press Ctrl+C again to stop at once without a checkpoint")
        signal.raise_signal(signal.SIGTERM)

    def _give_back(self) -> None:
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)
            self._former = None


def last_checkpoint(trainer: L.Trainer) -> Path:
    """Return where the trainer's ``last.ckpt`` is, or would be."""
    callback = trainer.checkpoint_callback
    folder = callback.dirpath if isinstance(callback, ModelCheckpoint) and callback.dirpath else None
    return Path(folder or Path(trainer.default_root_dir, "checkpoints")) / "last.ckpt"
