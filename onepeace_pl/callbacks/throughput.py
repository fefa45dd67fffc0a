"""Training throughput in samples per second, without validation."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence, Sized

import lightning as L
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from onepeace_pl.errors import UserError


class TrainClock:
    """Counts samples and seconds of training; stands still while it is paused.

    Args:
        window: Batches over which the current rate is taken.
    """

    def __init__(self, window: int = 50) -> None:
        self.samples = 0
        self.seconds = 0.0
        self._laps: deque[tuple[int, float]] = deque(maxlen=window)
        self._mark: float | None = None

    def start(self) -> None:
        """Run from now on."""
        self._mark = time.perf_counter()

    def pause(self) -> None:
        """Stand still; what ran since the last batch is not counted."""
        self._mark = None

    def lap(self, samples: int) -> None:
        """Count a batch that has just ended, waiting for its data included."""
        now = time.perf_counter()
        self.samples += samples
        if self._mark is not None:
            self.seconds += now - self._mark
            self._laps.append((samples, now - self._mark))
        self._mark = now

    @property
    def rate(self) -> float:
        """Samples a second over the last batches; 0 before the first."""
        seconds = sum(second for _, second in self._laps)
        return sum(n for n, _ in self._laps) / seconds if seconds else 0.0

    @property
    def mean_rate(self) -> float:
        """Samples a second over the whole run; 0 before the first batch."""
        return self.samples / self.seconds if self.seconds else 0.0


class RunClock:
    """Seconds of a run, those of the processes before the one that resumed it included."""

    def __init__(self) -> None:
        self._before = 0.0
        self._started = time.monotonic()

    def start(self) -> None:
        """Count this process from now on."""
        self._started = time.monotonic()

    def resume(self, seconds: float) -> None:
        """Go on from what an earlier process counted."""
        self._before = seconds

    @property
    def seconds(self) -> float:
        """Seconds of all processes."""
        return self._before + time.monotonic() - self._started


class Throughput(L.Callback):
    """Logs ``samples/s`` over all ranks, in the progress bar too.

    The clock is the host's and asks nothing of the device; over a window of batches that comes to the same.

    Args:
        window: Batches over which the rate is taken.
        every: Batches between two log entries.
    """

    def __init__(self, window: int = 50, every: int = 10) -> None:
        super().__init__()
        if window < 1 or every < 1:
            raise UserError(f"window and every must be at least 1, not {window} and {every}")
        self.every = every
        self.clock = TrainClock(window)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock; a run that resumes in the middle of an epoch does not start that."""
        self.clock.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.clock.start()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock."""
        self.clock.pause()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock again."""
        self.clock.start()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Count a batch."""
        self.clock.lap(batch_size(batch) * trainer.world_size)
        if (batch_idx + 1) % self.every == 0:
            pl_module.log("samples/s", self.clock.rate, prog_bar=True, rank_zero_only=True)


def batch_size(batch: object) -> int:
    """Number of samples: the length of a batch, or of the first entry of a bare tuple, list or dict."""
    while isinstance(batch, (Mapping, list, tuple)) and len(batch):
        first = next(iter(batch.values())) if isinstance(batch, Mapping) else batch[0]
        if isinstance(first, (str, bytes)) or not isinstance(first, (Tensor, Mapping, Sequence)):
            break
        batch = first
    if not isinstance(batch, Sized):
        raise TypeError(f"a batch of type {type(batch).__name__} has no length; give its class a __len__")
    return len(batch)
