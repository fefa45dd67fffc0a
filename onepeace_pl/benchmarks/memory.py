"""Peak memory of the losses, and its growth with the batch.

Shapes: B samples, D width.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onepeace_pl.benchmarks import reference_losses
from onepeace_pl.benchmarks.workload import moved
from onepeace_pl.modalities.masking import build_mask
from onepeace_pl.objectives import CrossModalContrast, DenoisingLoss


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counter of live tensor bytes and their peak.

    Dead tensors are dropped only where the sum would be a new peak.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._sum = 0
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
                _, before = self._alive.get(storage._cdata, (None, 0))
                self._alive[storage._cdata] = (weak(storage), storage.nbytes())
                self._sum += storage.nbytes() - before
        if self._sum > self.peak:
            self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
            self._sum = sum(size for _, size in self._alive.values())
            self.peak = max(self.peak, self._sum)
        return out


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """Return the most bytes alive at a time during a call: of its own tensors on CPU, of the allocator on a GPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with _LiveBytes() as counter:
        call()
    return int(counter.peak)


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
