"""A run that is stopped and resumed is the unbroken run: rows, logs, weights, optimiser, results, bit for bit.

``test_proof.py`` beside it does the same with every kind of stop, workers and two processes.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from .small_run import LAST, differences, fit, record, run_processes

EPOCHS: dict[str, Any] = {"max_epochs": 2}
STEPS: dict[str, Any] = {"max_steps": 13}
WINDOWS: dict[str, Any] = {"max_epochs": 2, "accumulate_grad_batches": 3}
AVERAGES: dict[str, Any] = {"max_steps": 12, "averages": True}


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing is saved any more."""


class Strike(L.Callback):
    """Stops the run at the ``count``-th call of a hook, by a signal or as if it were killed."""

    def __init__(self, hook: str, count: int, number: int) -> None:
        self.left, self.number = count, number
        setattr(self, hook, self._called)

    def _called(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.sanity_checking:
            return
        self.left -= 1
        if self.left == 0 and self.number == signal.SIGKILL:
            raise Killed
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def stop_and_resume(folder: Path, hook: str, count: int, number: int, **options: Any) -> dict[str, Any]:
    try:
        fit(folder, callbacks=[Strike(hook, count, number)], **options)
    except (SIGTERMException, Killed):
        assert not (folder / "results.json").exists()
    fit(folder, **options)
    return record(folder)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs that nothing stops, each made once."""
    found: dict[str, dict[str, Any]] = {}

    def get(**options: Any) -> dict[str, Any]:
        if str(options) not in found:
            folder = tmp_path_factory.mktemp("unbroken") / "run"
            fit(folder, **options)
            found[str(options)] = record(folder)
        return found[str(options)]

    return get


MOMENTS = {
    "first batch": ("on_train_batch_end", 1, signal.SIGTERM, EPOCHS),
    "last batch of an epoch": ("on_train_batch_start", 8, signal.SIGTERM, EPOCHS),
    "end of an epoch": ("on_train_epoch_end", 1, signal.SIGTERM, STEPS),
    "end of an epoch, by epochs": ("on_train_epoch_end", 1, signal.SIGINT, EPOCHS),
    "middle of a window": ("on_train_batch_end", 4, signal.SIGTERM, WINDOWS),
    "validation": ("on_validation_batch_start", 2, signal.SIGTERM, STEPS),
    "validation at an epoch's end": ("on_validation_batch_start", 5, signal.SIGTERM, EPOCHS),
    "validation within a window": ("on_validation_batch_start", 2, signal.SIGINT, WINDOWS),
    "the last validation": ("on_validation_batch_start", 8, signal.SIGTERM, {"max_steps": 12}),
    "validation of averages": ("on_validation_batch_start", 2, signal.SIGTERM, AVERAGES),
    "while last.ckpt is written": ("on_save_checkpoint", 3, signal.SIGTERM, STEPS),
    "killed after an epoch": ("on_train_batch_end", 11, signal.SIGKILL, EPOCHS),
    "killed between checkpoints": ("on_train_batch_end", 6, signal.SIGKILL, STEPS),
}


QUICK = ("first batch", "end of an epoch, by epochs", "middle of a window", "killed between checkpoints")


@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=() if each in QUICK else pytest.mark.slow) for each in MOMENTS]
)
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(moment: str, unbroken: Any, tmp_path: Path) -> None:
    hook, count, number, options = MOMENTS[moment]
    resumed = stop_and_resume(tmp_path / "run", hook, count, number, **options)
    assert differences(resumed, unbroken(**options)) == []


def test_a_process_that_is_killed(unbroken: Any, tmp_path: Path) -> None:
    folder, options = tmp_path / "run", {**EPOCHS, "every_n_steps": 2, "workers": 1}
    assert run_processes(folder, signal.SIGKILL, rows=6, **options) == [-signal.SIGKILL]
    assert (folder / LAST).exists()
    fit(folder, **options)
    assert differences(record(folder), unbroken(**EPOCHS)) == []
