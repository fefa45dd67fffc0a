"""Early check of the metrics that callbacks monitor.

A mistyped ``monitor`` is an error as soon as the names of metrics are known, which is in the sanity check, if there is
one; Lightning reports it at the end of the first epoch, or never.
"""

from __future__ import annotations

from collections.abc import Callable

import lightning as L
from lightning.pytorch.utilities.types import STEP_OUTPUT

from onepeace_pl.callbacks.interfaces import callbacks_of
from onepeace_pl.errors import UserError, nearest

_ALWAYS = ("epoch", "step")  # which ModelCheckpoint knows without their being logged


class CheckMonitors(L.Callback):
    """Compares what callbacks monitor with what is logged, once after a validation and once after a training step.

    A name that begins with ``val/`` must have been logged by the first validation. Others may come later, from a
    callback; they are refused where a logged name is close.
    """

    def __init__(self) -> None:
        super().__init__()
        self._validated = self._trained = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the names of validation metrics."""
        if not self._validated:
            self._validated = True
            _check(trainer, lambda name: not name.startswith("train/"))

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Check the names of training metrics."""
        if not self._trained:
            self._trained = True
            _check(trainer, lambda name: name.startswith("train/"))


def monitor_of(callback: L.Callback) -> str | None:
    """Return the metric that a callback monitors, None where it monitors none."""
    name = getattr(callback, "monitor", None)
    return name if isinstance(name, str) else None


def _check(trainer: L.Trainer, concerns: Callable[[str], bool]) -> None:
    logged = [str(name) for name in trainer.callback_metrics]
    for callback in callbacks_of(trainer):
        name = monitor_of(callback)
        if name is None or name in (*logged, *_ALWAYS) or not concerns(name):
            continue
        listed = f"there are {', '.join(logged)}" if name.startswith("val/") and logged else ""
        if hint := nearest(name, logged, listed):
            raise UserError(f"{type(callback).__name__} monitors '{name}', which is not logged; {hint}")
