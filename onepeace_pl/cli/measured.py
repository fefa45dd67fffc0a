"""Training run of a config, to be measured: model, preparation of a synthetic batch, precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from onepeace_pl.benchmarks.resident import Lengths, Preparation, in_dtype, resident_batch, vocabulary_of
from onepeace_pl.benchmarks.training_step import Precision, TrainingStep
from onepeace_pl.cli import lightning as verbs
from onepeace_pl.cli.shipped import find_config
from onepeace_pl.cli.stand_in import StandIn
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.errors import UserError
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.task import Task


@dataclass(frozen=True)
class MeasuredRun:
    """What a step of a training run is made of.

    Attributes:
        experiment: With its model on the meta device, in the dtype of the weights.
        prepared: Preparation of the training rows.
        precision: Dtypes of the step.
        clip: Largest gradient norm; None clips nothing.
    """

    experiment: Experiment
    prepared: Preparation
    precision: Precision
    clip: float | None

    def batch(self, lengths: Lengths | None = None) -> Batch:
        """Make a synthetic batch in the dtype of the weights, in host memory."""
        lengths = lengths or Lengths()
        return in_dtype(resident_batch(self._task.needs, self.prepared, lengths), self.precision.weights)

    def step(self, batch: Batch) -> TrainingStep:
        """Return the step of a batch on the device of the experiment, which has memory by now."""
        return TrainingStep(self.experiment, batch, self.precision, self.clip)

    @property
    def _task(self) -> Task:
        assert self.experiment.task is not None
        return self.experiment.task


def read_run(config: str, words: Sequence[str] = (), batch_size: int | None = None) -> MeasuredRun:
    """Read a training config.

    Args:
        config: Path or name of a config of ``fit``.
        words: Further options of ``fit``, such as ``--trainer.precision 32-true``.
        batch_size: Rows of a batch; None takes those of the config.

    Raises:
        UserError: The config describes no training of an :class:`~onepeace_pl.training.experiment.Experiment`.
    """
    stand_in = StandIn(verbs.default_experiment(), ["--config", str(find_config(config)), *words], build=True)
    precision = Precision.of(str(stand_in.trainer.precision))
    experiment: Any = stand_in.built().to(precision.weights)
    if not isinstance(experiment, Experiment) or experiment.backbone is None:
        raise UserError(
            f"{config}: a step is measured of {Experiment.__name__}, not {type(experiment).__name__}"
        )
    prepared = _preparation(stand_in.datamodule, config, stand_in.without_data)
    adapters = experiment.backbone.encoder
    vocabulary = vocabulary_of(adapters.adapter(name).vocabulary for name in experiment.backbone.modalities)
    prepared = replace(prepared, batch_size=batch_size or prepared.batch_size, vocabulary=vocabulary)
    clip = stand_in.trainer.gradient_clip_val
    return MeasuredRun(experiment, prepared, precision, None if clip is None else float(clip))


def _preparation(data: object, config: str, missing: str | None) -> Preparation:
    if not isinstance(data, SourceDataModule):
        why = f" ({missing})" if missing else ""
        raise UserError(
            f"{config}: a step is counted with the data module of one task, whose data are here{why}"
        )
    return Preparation(data.processors, data.batch_size, data.transform)
