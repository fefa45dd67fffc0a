"""Time and memory of two ways side by side.

Shapes: B samples, D width, N keys.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onepeace_pl.benchmarks import reference_losses, workload
from onepeace_pl.benchmarks.reference import Reference
from onepeace_pl.modalities.masking import build_mask
from onepeace_pl.objectives import CrossModalContrast, DenoisingLoss


@dataclass
class Comparison:
    """Milliseconds of both sides (medians of rounds) and how many times faster ours is.

    Attributes:
        ours: Median, ms.
        reference: Median, ms.
        ratio: Median over rounds of reference / ours; above 1 ours is faster.
        least: Smallest ratio of a round.
        most: Greatest ratio of a round.
    """

    ours: float
    reference: float
    ratio: float
    least: float
    most: float


def compare(ours: Callable[[], Any], reference: Callable[[], Any], rounds: int) -> Comparison:
    """Time both in turns within one process, after one call of each that does not count."""
    ours(), reference()
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds):
        for mine in (True, False) if turn % 2 == 0 else (False, True):
            start = time.perf_counter()
            (ours if mine else reference)()
            times[mine].append((time.perf_counter() - start) * 1e3)
    ratios = [theirs / mine for mine, theirs in zip(times[True], times[False], strict=True)]
    return Comparison(
        statistics.median(times[True]),
        statistics.median(times[False]),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def compare_step(preset: str, stage: int, batch: int, dtype: torch.dtype, rounds: int) -> Comparison:
    """Time forward and backward of a whole pretraining step beside the original's way, from the same weights."""
    backbone = workload.build(preset, stage, dtype)
    work = workload.make_batch(backbone, stage, batch)
    model = Reference(backbone)

    def ours() -> None:
        backbone.zero_grad()
        torch.autograd.backward(workload.loss(backbone, work, stage))

    def reference() -> None:
        for weight in model.weights.values():
            weight.grad = None
        torch.autograd.backward(reference_losses.loss(model, work, stage))

    return compare(ours, reference, rounds)


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive, and remembers the peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        from torch.multiprocessing.reductions import StorageWeakRef

        out = func(*args, **(kwargs or {}))
        weak: Any = StorageWeakRef
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._alive[storage._cdata] = (weak(storage), storage.nbytes())
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out


def loss_bytes(loss: str, tiled: bool, batch: int, tokens: int = 64, width: int = 64, tile: int = 256) -> int:
    """Return the peak of live bytes of forward and backward of a loss.

    Args:
        loss: ``denoising`` over ``batch * tokens`` tokens of which three in four are hidden, or ``alignment`` of
            ``batch * tokens`` pairs.
        tiled: Ours, or the dense way.
        batch: Samples B.
        tokens: Tokens a sample.
        width: D.
        tile: Rows of logits alive at a time.
    """
    generator = torch.Generator().manual_seed(0)
    with _LiveBytes() as counter:
        if loss == "denoising":
            student = torch.randn(batch, tokens + 1, width, generator=generator).requires_grad_()
            teacher = torch.randn(batch, tokens + 1, width, generator=generator)
            hidden = torch.zeros(batch, tokens + 1, dtype=torch.bool)
            hidden[:, 1 : 1 + 3 * tokens // 4] = True
            mask = build_mask(hidden)
            dense = reference_losses.denoising
            value = (
                DenoisingLoss(tile=tile)(student, teacher, mask).loss
                if tiled
                else dense(student, teacher, mask)
            )
        else:
            pairs = torch.randn(2, batch * tokens, width, generator=generator)
            first, second = (torch.nn.functional.normalize(x, dim=1).requires_grad_() for x in pairs)
            scale = torch.tensor(14.0)
            value = (
                CrossModalContrast(tile=tile)(first, second, scale).loss
                if tiled
                else reference_losses.alignment(first, second, scale)
            )
        torch.autograd.backward(value)
    return int(counter.peak)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Fit ``values = c * sizes ** e`` by least squares on logarithms and return ``e``."""
    xs, ys = [math.log(s) for s in sizes], [math.log(v) for v in values]
    x, y = statistics.mean(xs), statistics.mean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
