"""A run stopped by a signal leaves a checkpoint to go on from."""

import signal
import threading
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException

from onepeace_pl.callbacks.last import save_last


class StopOnSignal(Checkpoint):
    """Writes ``last.ckpt`` when SIGTERM or the first Ctrl+C stops the training.

    Lightning answers SIGTERM between two steps, where weights, optimiser and counters agree. The first Ctrl+C
    is passed on as SIGTERM for that reason: a KeyboardInterrupt may strike in the middle of an update. A stop
    during the sanity check, or before the first step, leaves nothing, since nothing is lost; a second Ctrl+C
    stops at once, without a checkpoint. A validation under way is not made up for on resuming.
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
        if isinstance(exception, SIGTERMException) and trainer.global_step and not trainer.sanity_checking:
            path = save_last(trainer)
            step = trainer.global_step
            rank_zero_info(f"stopped by a signal after step {step}; go on with: fit --ckpt_path {path}")

    def _first_time(self, number: int, frame: FrameType | None) -> None:
        self._give_back()
        rank_zero_info("\nstopping after this step; press Ctrl+C again to stop at once without a checkpoint")
        signal.raise_signal(signal.SIGTERM)

    def _give_back(self) -> None:
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)
            self._former = None
