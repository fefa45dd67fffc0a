"""Checkpoint on SIGTERM and Ctrl+C."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

import lightning as L
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException

from onepeace_pl.callbacks.interfaces import callbacks_of
from onepeace_pl.callbacks.last import save_last
from onepeace_pl.training.resume import progress_of

_Handler = Callable[[int, FrameType | None], object] | int | None  # as the signal module has it


class StopOnSignal(Checkpoint):
    """Writes ``last.ckpt`` when SIGTERM or the first Ctrl+C stops the training.

    The run stops before its next batch, where weights, optimiser and counters agree and everything is logged; under
    gradient accumulation before the next window, so that no gradient is lost. A validation between windows is broken
    off, and made on resuming. All processes stop together, whichever of them gets the signal. A stop during the sanity
    check, or before the first step, leaves nothing, since nothing is lost; a second Ctrl+C stops at once, without a
    checkpoint.
    """

    def __init__(self) -> None:
        super().__init__()
        self._former: dict[int, _Handler] = {}
        self._asked = False

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take over the signals."""
        self._take_over(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take over the signals, where there was no sanity check."""
        self._take_over(trainer)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Stop here, if a process was asked to."""
        if batch_idx % trainer.accumulate_grad_batches == 0 and self._stops(trainer):
            raise SIGTERMException

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop here, if a process was asked to."""
        if trainer.state.fn == "fit" and not progress_of(trainer).pending and self._stops(trainer):
            for callback in callbacks_of(trainer):
                if isinstance(callback, WeightAveraging):  # has lent the averages to the validation
                    callback.on_validation_epoch_end(trainer, pl_module)
            raise SIGTERMException

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the signals back."""
        self._give_back()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget the former handlers, which Lightning has put back itself where there was nothing to train."""
        self._former.clear()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Save, when a signal is the reason."""
        self._give_back()
        if isinstance(exception, SIGTERMException) and trainer.global_step and not trainer.sanity_checking:
            path = save_last(trainer)
            step = trainer.global_step
            rank_zero_info(f"stopped by a signal after step {step}; go on with: fit --ckpt_path {path}")

    def _stops(self, trainer: L.Trainer) -> bool:
        """Whether any process was asked to stop; all must call this."""
        return trainer.strategy.reduce_boolean_decision(self._asked, all=False)

    def _take_over(self, trainer: L.Trainer) -> None:
        if self._former or threading.current_thread() is not threading.main_thread():
            return
        self._asked = trainer.received_sigterm
        self._former = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if number == signal.SIGINT:
            self._give_back(signal.SIGINT)
            rank_zero_info(
                "\nstopping after this step; press Ctrl+C again to stop at once without a checkpoint"
            )

    def _give_back(self, *numbers: int) -> None:
        for number in numbers or tuple(self._former):
            if number in self._former:
                signal.signal(number, self._former.pop(number))
