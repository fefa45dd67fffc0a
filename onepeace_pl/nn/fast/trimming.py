"""Splitting of a padded batch into sub-batches of similar length.

Padded tokens cost as much as real ones, and texts are short on average and long at most. Real tokens come out the
same; padded ones, which attention never looks at, come back as zeros.

Shapes: B batch, L tokens, H heads, D width, S samples and T tokens of a sub-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from onepeace_pl.nn.sequence import Segment, TokenSequence

PARTS = 4  # at most
SAMPLES = 8  # of a sub-batch, at least: smaller products are not cheaper
GAIN = 0.9  # split only where no more than this share of the tokens remains


class SubBatch(NamedTuple):
    """Samples (S,), positions (T,) and segments of a sub-batch."""

    samples: Tensor
    positions: Tensor
    segments: tuple[Segment, ...]


def trim(
    sequences: Sequence[TokenSequence],
) -> tuple[list[TokenSequence], Callable[[Sequence[Tensor]], list[Tensor]]]:
    """Split what has much padding; return the sequences to run, and what puts their outputs back together."""
    splits = [split(sequence) for sequence in sequences]
    trimmed: list[TokenSequence] = []
    for sequence, parts in zip(sequences, splits, strict=True):
        with torch.set_grad_enabled(sequence.records):
            trimmed += [take(sequence, part) for part in parts] or [sequence]

    def restore(outputs: Sequence[Tensor]) -> list[Tensor]:
        remaining = iter(outputs)
        return [_restored(s, parts, remaining) for s, parts in zip(sequences, splits, strict=True)]

    return trimmed, restore


def split(sequence: TokenSequence) -> list[SubBatch]:
    """Return sub-batches of similar length; none where there is too little to gain.

    Lengths are read from the padding. An accelerator would have to wait for that, and an exported graph cannot depend
    on it, so only on CPU is anything split.
    """
    padding = sequence.key_padding
    if padding is None or padding.device.type != "cpu" or torch.compiler.is_compiling():
        return []
    batch = padding.shape[0]
    if batch < 2 * SAMPLES or sequence.group > 1:
        return []
    ends = []  # of each sample in each segment, the position after its last real token
    for segment in sequence.segments:
        real = ~padding[:, segment.start : segment.stop]
        ends.append((real * torch.arange(1, segment.stop - segment.start + 1)).amax(1))
    lengths = torch.stack(ends, dim=1)
    parts = [
        _sub_batch(sequence, samples, lengths[samples].amax(0).tolist())
        for samples in torch.argsort(lengths.sum(1), stable=True).chunk(min(PARTS, batch // SAMPLES))
    ]
    total = sum(len(part.samples) * len(part.positions) for part in parts)
    return parts if total <= GAIN * padding.numel() else []


def _sub_batch(sequence: TokenSequence, samples: Tensor, lengths: Sequence[int]) -> SubBatch:
    segments, positions, start = [], [], 0
    for segment, length in zip(sequence.segments, lengths, strict=True):
        segments.append(Segment(segment.name, start, start + length))
        positions.append(torch.arange(segment.start, segment.start + length))
        start += length
    return SubBatch(samples, torch.cat(positions), tuple(segments))


def take(sequence: TokenSequence, part: SubBatch) -> TokenSequence:
    """Return a sub-batch (S, T, D) of a sequence, with its biases and its padding."""
    samples, positions, segments = part
    assert sequence.key_padding is not None
    padding = sequence.key_padding[samples][:, positions]
    biases = [
        (bias if len(bias) == 1 else bias[samples]).index_select(2, positions).index_select(3, positions)
        for bias in sequence.biases
    ]
    return replace(
        sequence,
        tokens=sequence.tokens[samples[:, None], positions],
        segments=segments,
        biases=biases,
        key_padding=padding if bool(padding.any()) else None,
    )


def _restored(sequence: TokenSequence, parts: Sequence[SubBatch], outputs: Iterator[Tensor]) -> Tensor:
    first = next(outputs)
    if not parts:
        return first
    with torch.set_grad_enabled(sequence.records):
        whole = first.new_zeros(sequence.tokens.shape)
        for output, part in zip((first, *(next(outputs) for _ in parts[1:])), parts, strict=True):
            whole = whole.index_put((part.samples[:, None], part.positions), output)
        return whole
