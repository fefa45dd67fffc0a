"""Ablation of the optimisations of a training step: each is replaced by its plain implementation in turn.

Shapes: B batch, L tokens, K visible tokens, N rows, D width, H heads, R rows of a table.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.benchmarks.timing import Clock, in_turns
from onepeace_pl.nn import RelativeBias, TokenSequence
from onepeace_pl.nn.fast.kernels import attend
from onepeace_pl.nn.fast.packing import Packing, pack
from onepeace_pl.nn.relative_bias import look_up


@dataclass(frozen=True)
class FastPart:
    """An optimisation that can be switched off.

    Attributes:
        name: Name of the optimisation.
        replacements: Plain implementations by dotted name.
    """

    name: str
    replacements: Mapping[str, Callable[..., object]]

    @contextmanager
    def off(self) -> Iterator[None]:
        """Run the plain implementations instead."""
        with ExitStack() as stack:
            for target, plain in self.replacements.items():
                stack.enter_context(patch(target, plain))
            yield


@dataclass(frozen=True)
class Price:
    """Cost of a step without one optimisation, as a multiple of the full step's.

    Attributes:
        part: Name of the part.
        ratio: Median over rounds.
        low: First quartile over rounds.
        high: Third quartile over rounds.
    """

    part: str
    ratio: float
    low: float
    high: float


def prices(
    step: Callable[[], Tensor], parts: Sequence[FastPart], rounds: int, clock: Clock
) -> tuple[float, list[Price]]:
    """Return the milliseconds of a step with all optimisations, and its cost without each of them.

    Args:
        step: Forward and backward pass -> the loss.
        parts: Optimisations, switched off one at a time.
        rounds: Steps of each kind.
        clock: See :func:`in_turns`.

    Raises:
        RuntimeError: The loss differs without an optimisation.
    """
    with_all = step().item()
    for part in parts:
        with part.off():
            without = step().item()
        if abs(without - with_all) > 1e-2 * abs(with_all):
            raise RuntimeError(f"without {part.name} the loss is {without}, not {with_all}")

    def run(part: FastPart) -> None:
        with part.off():
            step()

    times = in_turns([step, *(partial(run, part) for part in parts)], rounds, clock)
    whole = times[0]
    found = []
    for part, own in zip(parts, times[1:], strict=True):
        ratios = [mine / base for mine, base in zip(own, whole, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        found.append(Price(part.name, statistics.median(ratios), low, high))
    return statistics.median(whole), found


def pack_each(sequences: Sequence[TokenSequence]) -> tuple[list[Tensor], list[Packing]]:
    """Give each sequence a matrix of its own."""
    rows, packings = [], []
    for i, sequence in enumerate(sequences):
        (x,), (packing,) = pack([sequence])
        packing.members = [i]
        rows.append(x)
        packings.append(packing)
    return rows, packings


def keep_padding(
    sequences: Sequence[TokenSequence],
) -> tuple[list[TokenSequence], Callable[[Sequence[Tensor]], list[Tensor]]]:
    """Split no batch."""
    return list(sequences), list


def attend_by(kernel: str) -> Callable[..., Tensor]:
    """Return attention of packed sequences by one kernel, whatever the situation."""

    def run(
        qkv: Tensor, packing: Packing, heads: int, biases: Sequence[Tensor | None], dropout: float = 0.0
    ) -> Tensor:
        return packing.pack(
            [
                attend(one.view(*one.shape[:2], 3, heads, -1), bias, padding, dropout, kernel)
                for one, bias, padding in zip(packing.unpack(qkv), biases, packing.paddings, strict=True)
            ]
        )

    return run


def gathered_bias(module: RelativeBias, length: int, keep: Tensor | None = None) -> list[Tensor]:
    """Bias of all tokens, expanded over the batch, of which those of visible tokens are gathered."""
    index = module.buckets.index(length).to(module.tables[0].device)
    biases = [look_up(table, index)[None] for table in module.tables]
    if keep is None:
        return biases
    heads, (batch, visible) = biases[0].shape[1], keep.shape
    rows = keep[:, None, :, None].expand(-1, heads, -1, length)
    columns = keep[:, None, None, :].expand(-1, heads, visible, -1)
    return [bias.expand(batch, -1, -1, -1).gather(2, rows).gather(3, columns) for bias in biases]


def convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve (B, T, C) with (O, C, W) by the library."""
    return F.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)


NN = "onepeace_pl.nn"
PARTS = (
    FastPart("packing all passes into one matrix", {f"{NN}.transformer.pack": pack_each}),
    FastPart("sub-batches of similar length", {f"{NN}.transformer.trim": keep_padding}),
    FastPart(
        "attention kernels (plain matrix products)", {f"{NN}.attention.attend_rows": attend_by("plain")}
    ),
    FastPart("attention kernels (PyTorch's)", {f"{NN}.attention.attend_rows": attend_by("fused")}),
    FastPart("bias of visible tokens only", {f"{NN}.relative_bias.RelativeBias.forward": gathered_bias}),
    FastPart(
        "audio convolutions as matrix products", {"onepeace_pl.modalities.audio.adapter.convolve": convolve}
    ),
)
