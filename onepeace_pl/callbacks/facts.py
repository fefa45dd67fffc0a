"""What a report says of a run besides its results: command, versions, machine, data, parameters, time."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning as L
import torch

from onepeace_pl.callbacks.throughput import TrainClock

PACKAGES = ("onepeace-pl", "torch", "lightning", "torchvision", "torchaudio", "numpy")


def run_facts(
    trainer: L.Trainer, module: L.LightningModule, clock: TrainClock, seconds: float
) -> dict[str, str]:
    """Collect what was run, as lines of a table.

    Args:
        trainer: The trainer, at the end of its work.
        module: What was trained or evaluated.
        clock: Samples and seconds of training; unused where nothing was trained.
        seconds: Wall-clock time from setup to now.
    """
    facts = {
        "command": f"`{command()}`",
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "versions": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
        "machine": _machine(trainer),
        "seed": os.environ.get("PL_GLOBAL_SEED", "not set"),
        "data": data_line(trainer.datamodule),  # type: ignore[attr-defined]
        "parameters": _parameters(module),
    }
    skips = getattr(trainer.datamodule, "skips", None)  # type: ignore[attr-defined]
    if skips is not None and skips.count:
        facts["left out"] = f"{skips.count:,} rows that could not be prepared, listed in {skips.path}"
    if clock.samples:
        facts["training"] = (
            f"{trainer.global_step:,} updates, {clock.samples:,} samples, {trainer.current_epoch} epochs"
        )
        facts["samples/s"] = f"{clock.mean_rate:,.1f}"
        facts["time"] = f"{_duration(seconds)}, of which {_duration(clock.seconds)} training"
    else:
        facts["time"] = _duration(seconds)
    facts["peak memory"] = _memory()
    return facts


def command() -> str:
    """Return the command line as one would type it; the path of the program is shortened to its name."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine(trainer: L.Trainer) -> str:
    if trainer.strategy.root_device.type == "cuda":
        device = torch.cuda.get_device_name(trainer.strategy.root_device)
    else:
        device = (
            f"{trainer.strategy.root_device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
        )
    return f"{trainer.world_size} x {device}, precision {trainer.precision}"


def data_line(data: Any) -> str:
    """Return what a data module trains on, task by task where there are several."""
    tasks = getattr(data, "tasks", None)
    if tasks:
        return "; ".join(f"{name}: {data_line(own)}" for name, own in tasks.items())
    parts = [type(data).__name__] if data is not None else []
    train = getattr(data, "train", None)
    if train is not None and hasattr(train, "modalities"):
        parts.append(f"{type(train).__name__} of {len(train):,} rows with {', '.join(train.modalities)}")
    if getattr(data, "batch_size", None):
        parts.append(f"{data.batch_size} a batch and process")
    return ", ".join(parts) or "loaders given by hand"


def _parameters(module: L.LightningModule) -> str:
    parameters = list(module.parameters())
    whole = sum(p.numel() for p in parameters)
    return f"{whole:,}, of which {sum(p.numel() for p in parameters if p.requires_grad):,} train"


def _memory() -> str:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB on the device"
    try:
        import resource
    except ImportError:  # not on Windows
        return "unknown"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2f} GiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    )
