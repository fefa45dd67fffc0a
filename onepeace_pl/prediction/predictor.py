"""The predictor: a trained task on new files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm  # type: ignore[import-untyped]

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.folder import load_folder
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import OnError, PreparedRows
from onepeace_pl.data.loading.skips import SkipLog
from onepeace_pl.data.needs import ValueCount
from onepeace_pl.data.source import Row, Source, values_of
from onepeace_pl.errors import UserError
from onepeace_pl.hub.device import find_device
from onepeace_pl.hub.encoding import with_resampling
from onepeace_pl.hub.weights import Weights, dtype_of_weights, quantize_weights
from onepeace_pl.modalities import AnySizeProcessor, ImageProcessor, Processor, RawInput
from onepeace_pl.prediction.loading import TaskFactory, load_task, load_transform, model_folder
from onepeace_pl.prediction.rows import InputRows, make_rows
from onepeace_pl.results import Result
from onepeace_pl.results.classification import RanksClasses
from onepeace_pl.training.dense import DenseTask
from onepeace_pl.training.task import Task

ONE = ValueCount(1, 1, "for several rows pass a list")


class Predictor:
    """A trained task with its backbone and preprocessing, for new files.

    Predictions equal those of ``python -m onepeace_pl predict`` with a data config.

    Args:
        task: The task, with its head.
        backbone: The backbone.
        processors: Processors by modality, as in training.
        classes: Class names in the order of their indices.
        transform: Joint transform of training, whose ``evaluation`` resizes images for dense tasks.
        resample: Resample audio of another rate than the model's; False raises instead.
    """

    def __init__(
        self,
        task: Task,
        backbone: Backbone,
        processors: Mapping[str, Processor],
        classes: Sequence[str] = (),
        transform: JointTransform | None = None,
        resample: bool = True,
    ) -> None:
        if transform is None and isinstance(task, DenseTask):
            transform = JointTransform(field=task.modality)  # records the size of each image
        self.transform = transform
        self.task, self.backbone, self.classes = task.eval(), backbone.eval(), tuple(classes)
        missing = [name for name in task.reads.modalities if name not in processors]
        if missing:
            raise UserError(
                f"{type(task).__name__} reads {missing[0]}, and the model has no preprocessing for it; add "
                f"data.processors.{missing[0]} to the run's config and train again"
            )
        self._top = task.top if isinstance(task, RanksClasses) else 0
        self.processors = {
            name: with_resampling(processors[name], resample) for name in task.reads.modalities
        }
        for name, check in task.needs.processors.items():
            check(self.processors[name])

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        task: str | None = None,
        make_task: TaskFactory | None = None,
        transform: JointTransform | None = None,
        resample: bool = True,
        trust_remote_code: bool = False,
        weights: Weights | None = None,
    ) -> Self:
        """Load a run; nothing is downloaded.

        Args:
            folder: Folder of a run (``runs/NAME``), or its model folder (``runs/NAME/model``).
            device: Device; by default a GPU if available, else the CPU.
            dtype: Dtype of the weights; None for that of the file.
            task: Name of a task, where the run has trained several.
            make_task: Makes the task of backbone and dataset metadata, for a run that was made in Python; None takes
                class and options of the folder.
            transform: Joint transform of images; None takes that of the folder.
            resample: Resample audio of another rate than the model's; False raises instead.
            trust_remote_code: Import the folder's classes whatever their module. Otherwise they must be this
                package's, a plug-in's, or imported already.
            weights: Those of the backbone (:meth:`OnePeace.from_pretrained`): ``int8``, ``bf16`` or ``float32``; a head
                has the dtype.

        Raises:
            UserError: The folder is no run, it has no head (then use :class:`~onepeace_pl.OnePeace`), it names a
                class that is not trusted, or there is no such device or kind of weights.
        """
        folder = model_folder(folder)
        device, dtype = find_device(device), dtype_of_weights(weights, dtype)
        backbone, processors = load_folder(folder, device, dtype, trust_remote_code)
        made, config = load_task(folder, backbone, make_task, task, trust_remote_code)
        info = config["data_info"]
        classes = (info["tasks"][task] if task is not None else info)["classes"]
        if transform is None and isinstance(made, DenseTask):
            transform = load_transform(folder, config, task, trust_remote_code)
        if weights == "int8":
            quantize_weights(backbone)
        return cls(made.to(device=device, dtype=dtype), backbone, processors, classes, transform, resample)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that an input has."""
        return self.task.reads.modalities

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.backbone.logit_scale.device

    def __call__(
        self,
        inputs: RawInput | Sequence[RawInput] | None = None,
        /,
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        batch_size: int = 32,
        **modalities: RawInput | Sequence[RawInput],
    ) -> Result | list[Result]:
        """Predict.

        Args:
            inputs: For a task that reads one modality, a value or a list of values: a path, or whatever its processor
                reads (:data:`~onepeace_pl.modalities.ImageInput`, :data:`~onepeace_pl.modalities.AudioInput`,
                :data:`~onepeace_pl.modalities.TextInput`). For one that reads several, a mapping by modality or a
                list of mappings.
            top_k: Number of classes in a classification result; by default those of the task's option ``top``.
            threshold: Least score or probability of what a result holds.
            batch_size: Inputs per forward pass, at most.
            modalities: The same by modality, ``image="a.jpg", text="the red car"``. Beside a list, a single value
                belongs to each of its rows. A tuple is several values of one row: the two images of a statement, the
                choices of a question.

        Returns:
            The result, of the task's ``result_type``; a list of results for a list.

        Raises:
            UserError: A modality is missing or unknown, lists differ in length, or an input cannot be read.
        """
        rows, single = make_rows(self._by_modality(inputs, modalities))
        results = list(self.predict(rows, top_k=top_k, threshold=threshold, batch_size=batch_size))
        return results[0] if single else results

    @torch.no_grad()
    def predict(
        self,
        rows: Sequence[Row] | Source,
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        on_error: OnError = "raise",
        skips: SkipLog | None = None,
        progress: bool = False,
    ) -> Iterator[Result]:
        """Yield the results of rows batch by batch, in their order; memory does not grow with their number.

        Args:
            rows: Rows with the modalities that the task reads; no labels.
            top_k: See :meth:`__call__`.
            threshold: See :meth:`__call__`.
            batch_size: Rows per forward pass, at most.
            num_workers: Processes that prepare rows.
            on_error: "raise" stops at a row that cannot be prepared, "skip" leaves it out.
            skips: Log of rows that were left out.
            progress: Show a progress bar, if the output is a terminal.

        Raises:
            UserError: An option is out of range, or a row cannot be prepared.
        """
        for name, value in (("batch_size", batch_size), ("top_k", top_k)):
            if value is not None and value < 1:
                raise UserError(f"{name}={value} must be at least 1")
        if isinstance(self.task, RanksClasses):
            self.task.top = top_k or self._top
        skips = SkipLog() if skips is None else skips
        source = InputRows(rows, self.modalities, self._check, self._sized)
        loader = DataLoader(
            PreparedRows(source, self.processors, on_error=on_error, transform=self.transform),
            batch_size=batch_size,
            sampler=[(0, index) for index in range(len(source))],
            collate_fn=Collator(self.processors),
            num_workers=num_workers,
        )
        hidden = None if progress else True  # None: where the output is no terminal
        for batch in tqdm(loader, desc="predict", unit="batch", disable=hidden):
            skips.add(batch.skipped)
            if batch.spare:
                continue
            predictions = self.task.predict(self.backbone, batch.to(self.device))
            if predictions is None:
                raise UserError(f"{type(self.task).__name__} has no predictions; embed with OnePeace.encode")
            for index, prediction in zip(batch.indices.tolist(), predictions, strict=True):
                row = rows[index]
                result = self.task.result_type.from_prediction(row.id, row.fields, prediction, self.classes)
                yield result.select(top_k, threshold)

    @property
    def _sized(self) -> str:
        """The modality whose size the task's predictions refer to; empty where they do not."""
        target = self.task.needs.target
        if target is None or "image_size" not in target.loaded_labels:
            return ""
        return next(
            name
            for name, each in self.processors.items()
            if isinstance(each, ImageProcessor | AnySizeProcessor)
        )

    def _by_modality(
        self, inputs: object, modalities: Mapping[str, RawInput | Sequence[RawInput]]
    ) -> dict[str, RawInput | Sequence[RawInput]]:
        """Return the inputs by modality."""
        names = ", ".join(self.modalities)
        if (inputs is None) == (not modalities):
            raise UserError(
                f"{type(self.task).__name__} reads {names}: pass inputs, or {_example(self.modalities)}"
            )
        given = dict(modalities)
        if isinstance(inputs, Mapping):
            given = dict(inputs)
        elif isinstance(inputs, list) and inputs and all(isinstance(each, Mapping) for each in inputs):
            given = {
                name: [each.get(name) for each in inputs]
                for name in dict.fromkeys(n for e in inputs for n in e)
            }
        elif inputs is not None:
            if len(self.modalities) > 1:
                raise UserError(
                    f"{type(self.task).__name__} reads {names}: name them, {_example(self.modalities)}"
                )
            given = {self.modalities[0]: inputs}
        for name in given:
            if name not in self.modalities:
                raise UserError(f"{type(self.task).__name__} reads no {name}, but {names}")
        for name in self.modalities:
            if name not in given:
                raise UserError(f"{type(self.task).__name__} reads {names}, and there is no {name}")
        return {name: given[name] for name in self.modalities}

    def _check(self, row: Row) -> None:
        """Reject a row that lacks a modality, or has another number of values than the task reads."""
        for name in self.modalities:
            if row.fields.get(name) is not None:  # else its preparation says what it lacks
                self.task.needs.values.get(name, ONE).check(name, len(values_of(row.fields[name])))


def _example(modalities: Sequence[str]) -> str:
    return ", ".join(f"{name}=..." for name in modalities)
