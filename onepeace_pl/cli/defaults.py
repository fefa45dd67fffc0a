"""Defaults of a run: loggers, progress, checkpoints, a report."""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal

import lightning as L
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from onepeace_pl.callbacks.interrupt import StopOnSignal
from onepeace_pl.callbacks.last import LastCheckpoint
from onepeace_pl.callbacks.model_card import ModelCard
from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.callbacks.predictions import Predictions
from onepeace_pl.callbacks.report import Report
from onepeace_pl.callbacks.results_file import ResultsFile
from onepeace_pl.callbacks.throughput import Throughput
from onepeace_pl.training.metrics_file import MetricsFile
from onepeace_pl.training.resume import logged_until
from onepeace_pl.utils.json_files import JsonObject

Monitor = tuple[str, Literal["min", "max"]]


def checkpoint_callbacks(folder: Path, monitor: Monitor | None) -> list[Callback]:
    """Make what writes ``best.ckpt`` and ``last.ckpt``, the latter also when a signal stops the run.

    Args:
        folder: Folder of ``best.ckpt``.
        monitor: Which validation metric is best when smallest or greatest; None goes without ``best.ckpt``.
    """
    callbacks: list[Callback] = [LastCheckpoint(), StopOnSignal()]
    if monitor is not None:
        name, mode = monitor
        best = ModelCheckpoint(folder, "best", monitor=name, mode=mode, enable_version_counter=False)
        callbacks.insert(0, best)
    return callbacks


def result_callbacks(model: L.LightningModule, verb: str) -> list[Callback]:
    """Make what writes ``report.md`` and ``results.json``, after a fit also ``model/``; of predict its vectors."""
    from onepeace_pl.training.experiment import Experiment

    if verb == "predict":
        return [Predictions()]
    if verb != "fit" or not isinstance(model, Experiment):
        return [Report(), ResultsFile()]
    # the card shows what the report has drawn; the file comes last: with it, the run is done
    return [ModelFolder(), Report(), ModelCard(), ResultsFile()]


def progress_callbacks(bar: bool) -> list[Callback]:
    """Make what measures samples a second and, with a bar, shows them beside progress and loss."""
    if not bar:
        return [Throughput()]
    # Lightning's other bar counts epochs against a limit that a run of so many updates does not have
    every = 10 if sys.stderr.isatty() else 100  # a log file keeps every line
    return [TQDMProgressBar(refresh_rate=every), Throughput()]


def loggers(folder: Path, own: Sequence[Logger] = (), checkpoint: Path | None = None) -> list[Logger]:
    """Make the loggers of a run folder: ``metrics.csv``, written line by line, and TensorBoard's events.

    Args:
        folder: The run folder.
        own: Those of the config; one of the same class replaces the default.
        checkpoint: What the run in the folder resumes from: what was logged later is taken out, since it is logged
            again.
    """
    step, validate = (None, False) if checkpoint is None else logged_until(checkpoint)
    found: list[Logger] = [
        MetricsFile(folder, step, validate),
        TensorBoardLogger(folder, name="", version="", purge_step=step),
    ]
    return [new for new in found if not any(isinstance(new, type(each)) for each in own)] + list(own)


def monitor_of(model: JsonObject) -> Monitor | None:
    """Return what the configured task is judged by: its class's ``monitor``, (name, mode)."""
    module, _, name = str(model["task"]["class_path"]).rpartition(".")
    monitor = getattr(getattr(import_module(module), name), "monitor", None)
    return None if monitor is None else (f"val/{monitor[0]}", monitor[1])


def _matters(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return "Tip: For seamless cloud" not in text and "`weights_only` was not set" not in text


_TALKERS = ("utilities.rank_zero", "trainer.connectors.checkpoint_connector")
for _talker in _TALKERS:
    logging.getLogger(f"lightning.pytorch.{_talker}").addFilter(_matters)
