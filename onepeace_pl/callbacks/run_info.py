"""Run information for the report: command, versions, hardware, data, parameters, time."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import lightning as L
import torch

from onepeace_pl.callbacks.interfaces import datamodule_of
from onepeace_pl.callbacks.throughput import TrainClock

if TYPE_CHECKING:
    from onepeace_pl.data.loading.skips import SkipLog

PACKAGES = ("onepeace-pl", "torch", "lightning", "torchvision", "torchaudio", "numpy")


def run_info(
    trainer: L.Trainer, module: L.LightningModule, clock: TrainClock, seconds: float
) -> dict[str, str]:
    """Collect the information about a run, as rows of a table.

    Args:
        trainer: The trainer, at the end of its work.
        module: The trained or evaluated module.
        clock: Samples and seconds of training; unused where nothing was trained.
        seconds: Wall-clock time from setup to now.
    """
    data = datamodule_of(trainer)
    info = {
        **program_info(),
        "hardware": _machine(trainer),
        "seed": os.environ.get("PL_GLOBAL_SEED", "not set"),
        "data": data_line(data),
        "parameters": _parameters(module),
    }
    if isinstance(data, HasSkips) and data.skips.count:
        info["skipped rows"] = f"{data.skips.count:,} that could not be prepared, listed in {data.skips.path}"
    if clock.samples:
        info["training"] = (
            f"{trainer.global_step:,} updates, {clock.samples:,} samples, {trainer.current_epoch} epochs"
        )
        info["samples/s"] = f"{clock.mean_rate:,.1f}"
        info["time"] = f"{duration(seconds)}, of which {duration(clock.seconds)} training"
    else:
        info["time"] = duration(seconds)
    info["peak memory"] = peak_memory()
    return info


def program_info() -> dict[str, str]:
    """Return command, date and versions, as rows of a table."""
    return {
        "command": f"`{command()}`",
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "versions": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
    }


def command() -> str:
    """Return the command line as one would type it; the path of the program is shortened to its name."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])


@runtime_checkable
class HasSkips(Protocol):
    """A data module that counts rows that could not be prepared."""

    skips: SkipLog


@runtime_checkable
class HasTasks(Protocol):
    """A data module of several tasks."""

    tasks: Mapping[str, object]


@runtime_checkable
class HasTrain(Protocol):
    """A data module with training data."""

    train: object


@runtime_checkable
class HasModalities(Protocol):
    """Training data that name their modalities."""

    modalities: Sequence[str]

    def __len__(self) -> int:
        """Return the number of rows."""


@runtime_checkable
class HasBatchSize(Protocol):
    """A data module with batches of a fixed size."""

    batch_size: int


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine(trainer: L.Trainer) -> str:
    device = device_name(trainer.strategy.root_device)
    return f"{trainer.world_size} x {device}, precision {trainer.precision}"


def device_name(device: torch.device) -> str:
    """Return the name of a GPU; of another device its type and the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"


def data_line(data: object) -> str:
    """Return a one-line description of the training data, for each task where there are several."""
    if isinstance(data, HasTasks) and data.tasks:
        return "; ".join(f"{name}: {data_line(own)}" for name, own in data.tasks.items())
    parts = [type(data).__name__] if data is not None else []
    if isinstance(data, HasTrain) and isinstance(data.train, HasModalities):
        train = data.train
        parts.append(f"{type(train).__name__} of {len(train):,} rows with {', '.join(train.modalities)}")
    if isinstance(data, HasBatchSize) and data.batch_size:
        parts.append(f"batches of {data.batch_size} in each process")
    return ", ".join(parts) or "loaders passed to the Trainer"


def _parameters(module: L.LightningModule) -> str:
    parameters = list(module.parameters())
    whole = sum(p.numel() for p in parameters)
    return f"{whole:,}, {sum(p.numel() for p in parameters if p.requires_grad):,} trainable"


def peak_memory() -> str:
    """Return the peak memory of the GPU, without one of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB on the device"
    try:
        import resource
    except ImportError:  # not on Windows
        return "unknown"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2f} GiB"


def duration(seconds: float) -> str:
    """Format seconds in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    )
