"""Interfaces of the modules that callbacks read, and typed access to what the Trainer does not declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import lightning as L
import numpy as np
from numpy.typing import NDArray

from onepeace_pl.metrics import LabelledResult, RetrievalResult
from onepeace_pl.training.task import Task

ImageArray = NDArray[np.uint8]
Result = RetrievalResult | LabelledResult


@runtime_checkable
class HasResults(Protocol):
    """A module that keeps the results of its last evaluation, by evaluation set."""

    results: Mapping[str, Result]


@runtime_checkable
class HasDrawings(Protocol):
    """A module that keeps images of its predictions, by evaluation set."""

    drawings: Mapping[str, Sequence[ImageArray]]


@runtime_checkable
class HasInitFrom(Protocol):
    """A module that starts from other weights."""

    init_from: str | None


@runtime_checkable
class HasTask(Protocol):
    """A module that trains a task."""

    task: Task | None


def results_of(module: L.LightningModule) -> Mapping[str, Result]:
    """Return the results of the last evaluation, by evaluation set."""
    return module.results if isinstance(module, HasResults) else {}


def drawings_of(module: L.LightningModule) -> dict[str, Sequence[ImageArray]]:
    """Return images of predictions (H, W, 3), by evaluation set; sets without any are left out."""
    drawings = module.drawings if isinstance(module, HasDrawings) else {}
    return {name: images for name, images in drawings.items() if images}


def init_from(module: L.LightningModule) -> str | None:
    """Return the path of the weights that a module started from."""
    return module.init_from if isinstance(module, HasInitFrom) else None


def task_of(module: L.LightningModule) -> Task | None:
    """Return the task of a module, None where it has none."""
    return module.task if isinstance(module, HasTask) else None


def datamodule_of(trainer: L.Trainer) -> object:
    """Return the data module, None where loaders were passed; an object, since a protocol says what it offers."""
    return cast(Any, trainer).datamodule


def callbacks_of(trainer: L.Trainer) -> list[L.Callback]:
    """Return all callbacks."""
    return list(cast(Any, trainer).callbacks)


def is_trial_run(trainer: L.Trainer) -> bool:
    """Whether ``fast_dev_run`` is set, so that nothing is to be written."""
    return bool(cast(Any, trainer).fast_dev_run)
