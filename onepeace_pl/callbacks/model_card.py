"""What the model card of a run's model folder tells about the run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning as L
from torch.optim import Optimizer

from onepeace_pl.callbacks.best import measured
from onepeace_pl.callbacks.interfaces import (
    Result,
    callbacks_of,
    datamodule_of,
    init_from,
    is_trial_run,
    results_of,
    task_of,
)
from onepeace_pl.callbacks.model_folder import FOLDER, ModelFolder
from onepeace_pl.callbacks.results_file import references, retrieval_content
from onepeace_pl.callbacks.run_info import data_line, program_info
from onepeace_pl.checkpoints.run_record import PICTURE, RunRecord, Score
from onepeace_pl.metrics import RetrievalResult
from onepeace_pl.utils.json_files import JsonObject

PREFIX = "val/"


@runtime_checkable
class HasCardMetadata(Protocol):
    """A data module whose data have a known ``license``, ``language`` or name (``datasets``)."""

    card_metadata: Mapping[str, str]


class ModelCard(L.Callback):
    """Writes the run's record into its model folder when ``fit`` ends: training, results, and ``gallery.png``.

    It comes after :class:`~onepeace_pl.callbacks.model_folder.ModelFolder`, which writes the folder, and
    :class:`~onepeace_pl.callbacks.report.Report`, which draws the picture. Results are those of the last evaluation.
    """

    def __init__(self) -> None:
        super().__init__()
        self._scores: list[Score] = []
        self._evaluated = ""

    def state_dict(self) -> JsonObject:
        """Return the last evaluation, for a run that is resumed after it."""
        return {"scores": [asdict(score) for score in self._scores], "evaluated": self._evaluated}

    def load_state_dict(self, state_dict: JsonObject) -> None:
        """Restore the state of :meth:`state_dict`."""
        self._scores = [Score(**score) for score in state_dict["scores"]]
        self._evaluated = state_dict["evaluated"]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep what was measured."""
        if trainer.sanity_checking:
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._scores = list(scores(results_of(pl_module), metrics))
        known = measured(trainer, pl_module)
        self._evaluated = (
            f"Validation of the weights of step {known['step']}" if "step" in known else "Validation"
        )

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the record, and the card again."""
        from onepeace_pl.checkpoints.folder import add_run_record

        run = Path(trainer.default_root_dir)
        folders = [callback for callback in callbacks_of(trainer) if isinstance(callback, ModelFolder)]
        if is_trial_run(trainer) or not trainer.is_global_zero or not folders or folders[0].origin is None:
            return
        data, picture = datamodule_of(trainer), run / PICTURE
        metadata = dict(data.card_metadata) if isinstance(data, HasCardMetadata) else {}
        record = RunRecord(
            dict(_training(trainer, pl_module)),
            self._evaluated,
            tuple(self._scores),
            metadata,
            picture.read_bytes() if picture.is_file() else None,
        )
        add_run_record(run / FOLDER, record, pl_module.backbone, folders[0].processors)  # type: ignore[arg-type]


def scores(results: Mapping[str, Result], metrics: Mapping[str, float]) -> Iterator[Score]:
    """Yield what a card shows of an evaluation: recall at the smallest k, and metrics of labelled rows.

    Args:
        results: Results by evaluation set; those of a part of a set are left out.
        metrics: Logged values by name.
    """
    for name, result in results.items():
        if result.partial:
            continue
        start = f"{PREFIX}{name}/"
        own = {metric: value for metric, value in metrics.items() if metric.startswith(start)}
        known = references({name: result}, PREFIX, own)
        if isinstance(result, RetrievalResult):
            bounds = retrieval_content({name: result}, PREFIX)["intervals"]
            k = min(k for direction in result.directions.values() for k in direction.recall)
            shown = [f"{start}{direction}/R@{k}" for direction in result.directions]
        else:
            bounds, shown = {}, [f"{start}{metric}" for metric in result.metrics]
        for metric in shown:
            if metric in own:
                low_high, around = bounds.get(metric, {}), known.get(metric, {})
                yield Score(
                    name,
                    metric.removeprefix(start),
                    own[metric],
                    low_high.get("low"),
                    low_high.get("high"),
                    around.get("chance"),
                    around.get("optimum"),
                )


def _training(trainer: L.Trainer, module: L.LightningModule) -> Iterator[tuple[str, str]]:
    task, start = task_of(module), init_from(module)
    yield "data", data_line(datamodule_of(trainer))
    if task is not None:
        yield "task", type(task).__name__
    if start is not None:
        yield "initial weights", Path(start).name if Path(start).is_absolute() else start
    yield "updates", f"{trainer.global_step:,}"
    for optimizer in trainer.optimizers:
        yield "optimiser", _optimizer(optimizer)
    yield "precision", str(trainer.precision)
    yield "processes", str(trainer.world_size)
    yield "seed", os.environ.get("PL_GLOBAL_SEED", "not set")
    yield "versions", program_info()["versions"]


def _optimizer(optimizer: Optimizer) -> str:
    defaults = optimizer.defaults
    options = (f"{name} {defaults[name]:g}" for name in ("lr", "weight_decay") if name in defaults)
    return ", ".join([type(optimizer).__name__, *options])
