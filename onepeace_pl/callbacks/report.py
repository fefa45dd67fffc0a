"""Markdown report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from onepeace_pl.callbacks.best import measured
from onepeace_pl.callbacks.curves import draw_curves
from onepeace_pl.callbacks.history import History
from onepeace_pl.callbacks.image_grid import image_grid, write_image_grids
from onepeace_pl.callbacks.interfaces import callbacks_of, datamodule_of, drawings_of, results_of
from onepeace_pl.callbacks.labelled_page import CLASSES, labelled_parts, pictures_of
from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.callbacks.page import class_table, info_table, metrics_table, training_table
from onepeace_pl.callbacks.retrieval_page import picture, retrieval_parts
from onepeace_pl.callbacks.run_info import run_info
from onepeace_pl.callbacks.throughput import RunClock, TrainClock, batch_size
from onepeace_pl.metrics import LabelledResult, RetrievalResult
from onepeace_pl.training.resume import progress_of
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from onepeace_pl.data.evaluation.sets import EvaluationSet
    from onepeace_pl.data.source import Source


LOGGED = "train/"
"""Prefix of metrics logged by training steps."""


class Report(L.Callback):
    """Writes ``report.md``, ``curves.png`` and ``gallery.png`` into the run's folder when ``fit`` ends.

    Predictions of a dense task are drawn into ``predictions.png``. Results by class have a table and, as far as the
    task has them, ``confusion-SET.png`` and ``precision-recall-SET.png``; ``examples-SET.png`` has the worst errors and
    samples of wrong and right predictions. TensorBoard has these pictures after every validation.

    ``validate`` and ``test`` write ``report-validate.md`` and so on, so that the report of the training
    stays. The report lists command, versions, seed, data, parameters, time and samples per second, losses, metrics
    beside chance and optimum, and retrieval in every direction, by group and by factor. A run that is stopped early
    has a report, too.

    The galleries' raw rows come from the datamodule's ``evaluation_sets(split)``; without them there is no
    ``gallery.png``. Without matplotlib the plots are omitted, with a note.

    Args:
        queries: Queries shown for each direction.
        answers: Results shown for each query.
        points: Approximate number of points of a curve.
    """

    def __init__(self, queries: int = 4, answers: int = 5, points: int = 100) -> None:
        super().__init__()
        self.queries = queries
        self.answers = answers
        self.history = History(points)
        self.clock = TrainClock()
        self._run = RunClock()

    def state_dict(self) -> JsonObject:
        """Return what a run that goes on later needs for its report."""
        return {
            "history": self.history.state_dict(),
            "samples": self.clock.samples,
            "seconds": self.clock.seconds,
            "run": self._run.seconds,
        }

    def load_state_dict(self, state_dict: JsonObject) -> None:
        """Restore the state of :meth:`state_dict`."""
        self.history.load_state_dict(state_dict["history"])
        self.clock.samples, self.clock.seconds = state_dict["samples"], state_dict["seconds"]
        self._run.resume(state_dict["run"])

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Start counting time."""
        self._run.start()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of training; a run that resumes in the middle of an epoch does not start that."""
        self.clock.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of training."""
        self.clock.start()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Record the loss of the step; at some steps the other logged values, too."""
        self.clock.lap(batch_size(batch) * trainer.world_size)
        loss = outputs if isinstance(outputs, Tensor) else (outputs or {}).get("loss")
        if loss is not None:
            # Lightning hands it out divided, for the sum over accumulated batches.
            self.history.add_losses({"loss": loss * trainer.accumulate_grad_batches})
        updated = not progress_of(trainer).pending
        if updated and self.history.due(trainer.global_step, trainer.estimated_stepping_batches):
            # Only now: asking Lightning for what was logged makes the host wait for the device.
            logged = {
                name.removeprefix(LOGGED): value
                for name, value in trainer.callback_metrics.items()
                if name.startswith(LOGGED)
            }
            self.history.add_losses({name: value for name, value in logged.items() if name != "loss"})
            self.history.point(trainer.global_step)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock of training."""
        self.clock.pause()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record recalls; at the end of ``validate``, write."""
        self.clock.start()
        if not trainer.sanity_checking:
            self.history.add_results(trainer.global_step, _results(pl_module))
            _show(trainer, pl_module)
        if trainer.state.fn == "validate":
            self._write(trainer, pl_module, "validate")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write."""
        self._write(trainer, pl_module, "test")

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write."""
        self._write(trainer, pl_module, "fit")

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Write the report of a training that stops early."""
        if trainer.state.fn == "fit" and trainer.global_step:
            try:
                self._write(
                    trainer, pl_module, "fit", f"stopped early by {type(exception).__name__}: {exception}"
                )
            except Exception as error:  # must not hide the exception that stopped the run
                rank_zero_warn(f"no report was written: {type(error).__name__}: {error}")

    def _write(self, trainer: L.Trainer, module: L.LightningModule, verb: str, remark: str = "") -> None:
        if not trainer.is_global_zero:
            return
        history = self.history.up_to(trainer.global_step)
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        suffix = "" if verb == "fit" else f"-{verb}"
        results, rows = _results(module), _rows(trainer, verb)
        labelled = _labelled(module)
        parts = [f"# {folder.resolve().name}: {verb}\n"]
        if remark:
            parts.append(f"**{remark}**\n")
        info = run_info(trainer, module, self.clock, self._run.seconds)
        parts.append(info_table(info | _weights(trainer, module)))
        if history.losses:
            parts += ["## Training\n", training_table(history)]
            curves = folder / f"curves{suffix}.png"
            parts.append(picture(curves, "losses by step", lambda: draw_curves(history, curves)))
        if labelled:
            parts += labelled_parts(labelled, rows, folder, suffix)
        drawings = drawings_of(module)
        if drawings:
            grid = folder / f"predictions{suffix}.png"
            write_image_grids(drawings, grid)
            parts += ["Prediction and ground truth, side by side:\n", f"![predictions]({grid.name})\n"]
        metrics = _evaluation_metrics(trainer, {**results, **{r.name: r for r in labelled}})
        if metrics:
            parts += ["## Other metrics\n", metrics_table(metrics)]
        if results:
            gallery = folder / f"gallery{suffix}.png"
            parts += retrieval_parts(results, rows, gallery, self.queries, self.answers)
        page = folder / f"report{suffix}.md"
        write_text(page, "\n".join(parts))
        rank_zero_info(f"report: {page}")


@runtime_checkable
class HasEvaluationSets(Protocol):
    """A data module with named evaluation sets."""

    def evaluation_sets(self, split: str) -> Sequence[EvaluationSet]:
        """Return the sets of ``validation`` or ``test``."""


def _show(trainer: L.Trainer, module: L.LightningModule) -> None:
    """Log pictures of predictions and of results by class to TensorBoard, and the table of classes."""
    boards = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    if not trainer.is_global_zero or not boards:
        return
    pictures = {f"predictions/{name}": image_grid(images) for name, images in drawings_of(module).items()}
    tables, rows = {}, _rows(trainer, "validate")
    for result in _labelled(module):
        drawn = pictures_of(result, rows.get(result.name))
        for kind, draw in drawn.items():
            with suppress(ImportError):  # matplotlib is optional; the report says so
                pictures[f"{kind}/{result.name}"] = draw()
        if result.by_class is not None:
            tables[f"classes/{result.name}"] = class_table(result.by_class, CLASSES)
    for board in boards:
        for name, pixels in pictures.items():
            board.add_image(name, pixels, trainer.global_step, dataformats="HWC")
        for name, text in tables.items():
            board.add_text(name, text, trainer.global_step)


def _labelled(module: L.LightningModule) -> list[LabelledResult]:
    return [result for result in results_of(module).values() if isinstance(result, LabelledResult)]


def _results(module: L.LightningModule) -> dict[str, RetrievalResult]:
    return {
        name: result for name, result in results_of(module).items() if isinstance(result, RetrievalResult)
    }


def _weights(trainer: L.Trainer, module: L.LightningModule) -> dict[str, str]:
    """Return which weights were evaluated, and which are in the model folder."""
    known = measured(trainer, module)
    weights = known.get("checkpoint") or (f"of step {known['step']}" if "step" in known else "untrained")
    folders = (c for c in callbacks_of(trainer) if isinstance(c, ModelFolder))
    origin = next((folder.origin for folder in folders), None)
    return {"evaluated weights": str(weights)} | ({} if origin is None else {"model folder": str(origin)})


def _evaluation_metrics(
    trainer: L.Trainer, results: Mapping[str, RetrievalResult | LabelledResult]
) -> dict[str, float]:
    """Return logged metrics that no other table has."""
    logged = {
        name: float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith(("val", "test"))
    }
    shown = {f"/{result.name}/{name}" for result in results.values() for name in result.scalars()}
    return {name: value for name, value in logged.items() if name[name.find("/") :] not in shown}


def _rows(trainer: L.Trainer, verb: str) -> dict[str, Source]:
    """Return the raw rows of every evaluation set, by name."""
    data = datamodule_of(trainer)
    if not isinstance(data, HasEvaluationSets):
        return {}
    return {each.name: each.rows for each in data.evaluation_sets("test" if verb == "test" else "validation")}
