"""Model FLOPs utilisation (MFU) of a training step, and the time of its phases.

The batch stays in host memory, so that no data loader is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.profiler import profile

from onepeace_pl.benchmarks.roofline import Machine
from onepeace_pl.benchmarks.training_step import TrainingStep
from onepeace_pl.data.batches import Batch
from onepeace_pl.metrics.bootstrap import Interval, mean_interval

WARM_UP = 3  # steps that do not count
STD = 0.02


@dataclass(frozen=True)
class Utilisation:
    """Time of a step.

    Attributes:
        step: Milliseconds of forward pass, backward pass and update, without waiting in between.
        phases: Milliseconds of each phase when the device is waited for after it: ``input`` is the copy of the batch to
            the device, ``logging`` the read of all scalars.
        mfu: FLOPs of the model, without recomputation, by the peak of a device; None without one.
    """

    step: Interval
    phases: dict[str, Interval]
    mfu: Interval | None


def allocate(module: nn.Module, device: str) -> None:
    """Give a module on the meta device memory on a device, in place, and random parameters: speed needs no others."""
    module.to_empty(device=device)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, STD)
        for buffer in module.buffers():
            buffer.zero_()


def utilisation(
    step: TrainingStep, host: Batch, rounds: int, flops: int, machine: Machine | None, trace: Path | None
) -> Utilisation:
    """Measure a step.

    Args:
        step: On a device.
        host: Its batch in host memory.
        rounds: Steps that count, of each of both measurements.
        flops: Of the model, without recomputation.
        machine: Whose peak is taken; None for no MFU.
        trace: File for the trace of one step by PyTorch's profiler; None writes none.
    """
    for _ in range(WARM_UP):
        step()
    times = [_timed(step, step.device) for _ in range(rounds)]
    apart: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, call in _phases(step, host):
            apart.setdefault(name, []).append(_timed(call, step.device))
    if trace is not None:
        with profile() as profiler:
            step()
            _wait(step.device)
        profiler.export_chrome_trace(str(trace))
    whole, mfu = _interval(times), None
    if machine is not None:
        peak = machine.peak(step.precision.autocast or step.precision.weights)
        mfu = mean_interval(np.array([flops / (each / 1e3) / peak for each in times]))
    return Utilisation(whole, {name: _interval(values) for name, values in apart.items()}, mfu)


def _phases(step: TrainingStep, host: Batch) -> Iterator[tuple[str, Callable[[], object]]]:
    def copy() -> None:
        step.batch = host.to(step.device)

    yield "input", copy
    losses: list[torch.Tensor] = []
    yield "forward", lambda: losses.append(step.forward())
    yield "backward", lambda: torch.autograd.backward(losses.pop())
    yield "update", step.update
    yield "logging", lambda: {name: value.item() for name, value in step.logs.items()}


def _timed(call: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return (time.perf_counter() - start) * 1e3


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _interval(values: list[float]) -> Interval:
    return mean_interval(np.array(values))


def table(found: Utilisation, rows: int) -> Iterator[str]:
    """Yield the lines of a Markdown table.

    Args:
        found: The times.
        rows: Rows of the batch.
    """
    yield "| | ms | 95 % interval |"
    yield "|---|---:|---|"
    for name, each in {"step": found.step, **{f"{n}, apart": e for n, e in found.phases.items()}}.items():
        yield f"| {name} | {each.value:,.1f} | {each.low:,.1f} .. {each.high:,.1f} |"
    yield ""
    yield f"rows a second: {rows / found.step.value * 1e3:,.1f}"
    if found.mfu is not None:
        mfu = found.mfu
        yield f"MFU: {mfu.value:.1%} [{mfu.low:.1%} .. {mfu.high:.1%}]"
