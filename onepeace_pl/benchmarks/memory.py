"""Counts of a pretraining step beside the reference, and memory of the losses and its growth with the batch.

Shapes: B samples, D width.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from onepeace_pl.benchmarks import reference_losses, workload
from onepeace_pl.benchmarks.counting import Cost, OpCounter, total
from onepeace_pl.benchmarks.reference import ReferenceModel
from onepeace_pl.benchmarks.workload import moved
from onepeace_pl.modalities.masking import build_mask
from onepeace_pl.nn.checkpointing import Mode
from onepeace_pl.objectives import CrossModalContrast, DenoisingLoss


def peak_bytes(call: Callable[[], object], device: str, held: Iterable[Tensor] = ()) -> int:
    """Return the most bytes alive at a time during a call: of its own tensors on CPU, of the allocator on a GPU.

    Args:
        call: What is measured.
        device: Where.
        held: Tensors that are there before and count as well, such as weights.
    """
    held = list(held)
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before + sum(tensor.nbytes for tensor in held)
    return _counted(call, held).memory.peak.bytes


def _counted(call: Callable[[], object], held: Iterable[Tensor] = ()) -> OpCounter:
    counter = OpCounter()
    counter.memory.add(held)
    with counter:
        call()
    return counter


@dataclass(frozen=True)
class StepCost:
    """Counts of forward and backward of a pretraining step.

    Attributes:
        name: ``original``, or how activations are kept.
        cost: FLOPs, bytes moved, kernels.
        peak: Most bytes alive at a time, the weights included.
        weights: Bytes of the weights alone.
    """

    name: str
    cost: Cost
    peak: int
    weights: int


def step_costs(
    preset: str, stage: int, batch: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> list[StepCost]:
    """Count a step of :mod:`onepeace_pl.benchmarks.workload` by activation checkpointing, then the reference's.

    Args:
        preset: Model size.
        stage: 1 or 2.
        batch: Samples B.
        dtype: Of weights and activations.
        device: Where.
    """
    backbone = workload.build(preset, stage, dtype, device)
    work = workload.make_batch(backbone, stage, batch)
    model = ReferenceModel(backbone)

    def ours(mode: Mode) -> None:
        for block in backbone.blocks:
            block.checkpointing = mode
        torch.autograd.backward(workload.loss(backbone, work, stage))

    def original() -> None:
        torch.autograd.backward(reference_losses.loss(model, work, stage))

    modes: tuple[Mode, ...] = ("none", "selective", "full")
    steps: dict[str, tuple[Callable[[], None], Collection[Tensor]]] = {
        f"activation_checkpointing: {mode}": (partial(ours, mode), list(backbone.parameters()))
        for mode in modes
    }
    steps["original"] = original, model.weights.values()
    found = []
    for name, (step, weights) in steps.items():
        counter = _counted(step, weights)
        peak = counter.memory.peak.bytes
        for weight in weights:
            weight.grad = None
        if torch.device(device).type == "cuda":  # there the allocator knows, kernels' own memory included
            peak = peak_bytes(step, device, weights)
            for weight in weights:
                weight.grad = None
        found.append(
            StepCost(name, total(counter.costs.values()), peak, sum(weight.nbytes for weight in weights))
        )
    return found


def loss_bytes(
    loss: str,
    tiled: bool,
    batch: int,
    tokens: int = 64,
    width: int = 64,
    tile: int = 256,
    device: str = "cpu",
) -> int:
    """Return the peak of live bytes of forward and backward of a loss, its inputs included.

    Args:
        loss: ``denoising`` over ``batch * tokens`` tokens of which three in four are masked, or ``alignment`` of
            ``batch * tokens`` pairs.
        tiled: Ours, or the dense way.
        batch: Samples B.
        tokens: Tokens a sample.
        width: D.
        tile: Rows of logits alive at a time.
        device: Where.
    """
    run = _denoising if loss == "denoising" else _alignment
    return peak_bytes(lambda: torch.autograd.backward(run(tiled, batch, tokens, width, tile, device)), device)


def _denoising(tiled: bool, batch: int, tokens: int, width: int, tile: int, device: str) -> Tensor:
    student = torch.randn(batch, tokens + 1, width, device=device).requires_grad_()
    teacher = torch.randn(batch, tokens + 1, width, device=device)
    hidden = torch.zeros(batch, tokens + 1, dtype=torch.bool)
    hidden[:, 1 : 1 + 3 * tokens // 4] = True
    mask = moved(build_mask(hidden), torch.device(device))
    if tiled:
        out: Tensor = DenoisingLoss(tile=tile)(student, teacher, mask).loss
        return out
    return reference_losses.denoising(student, teacher, mask)


def _alignment(tiled: bool, batch: int, tokens: int, width: int, tile: int, device: str) -> Tensor:
    pairs = torch.randn(2, batch * tokens, width, device=device)
    first, second = (torch.nn.functional.normalize(x, dim=1).requires_grad_() for x in pairs)
    scale = torch.full((), 14.0, device=device)
    if tiled:
        out: Tensor = CrossModalContrast(tile=tile)(first, second, scale).loss
        return out
    return reference_losses.alignment(first, second, scale)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Fit ``values = c * sizes ** e`` by least squares on logarithms and return ``e``."""
    xs, ys = [math.log(s) for s in sizes], [math.log(v) for v in values]
    x, y = statistics.mean(xs), statistics.mean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
