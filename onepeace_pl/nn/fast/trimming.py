"""Less padding: a padded sequence is cut into a few of samples of similar length, each as short as it can be.

Padded rows cost as much as real ones, and sentences are short on average and long at most. Numbers of real tokens stay
the same; padded tokens, which nobody may look at, come back as zeros.

Shapes: B batch, L tokens, H heads, D width, S samples of a cut, T tokens of a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from onepeace_pl.nn.block import PackedInput
from onepeace_pl.nn.routing import Segment

CUTS = 4  # at most
SAMPLES = 8  # of a cut, at least: smaller products are not cheaper
GAIN = 0.9  # cut only where no more than this share of the tokens remains


class Cut(NamedTuple):
    """Samples and positions of one cut.

    Attributes:
        rows: (S,) samples.
        positions: (T,) positions.
        sequence: What blocks must know of it.
    """

    rows: Tensor
    positions: Tensor
    sequence: PackedInput


def cuts(sequence: PackedInput) -> list[Cut]:
    """Say how to cut a sequence; nothing where there is too little to gain.

    Lengths are read from the padding, which on an accelerator would make the host wait; so only on CPU is anything cut.
    """
    padding = sequence.key_padding
    if padding is None or padding.device.type != "cpu" or len(padding) < 2 * SAMPLES:
        return []
    ends = []  # of each sample in each segment, the position behind its last real token
    for segment in sequence.segments:
        real = ~padding[:, segment.start : segment.stop]
        place = torch.arange(1, segment.stop - segment.start + 1)
        ends.append((real * place).amax(1))
    lengths = torch.stack(ends, dim=1)
    found, total = [], 0
    for rows in torch.argsort(lengths.sum(1), stable=True).chunk(min(CUTS, len(padding) // SAMPLES)):
        tops = lengths[rows].amax(0).tolist()
        segments, pieces, start = [], [], 0
        for segment, top in zip(sequence.segments, tops, strict=True):
            segments.append(Segment(segment.name, start, start + top))
            pieces.append(torch.arange(segment.start, segment.start + top))
            start += top
        positions = torch.cat(pieces)
        hidden = padding[rows][:, positions]
        cut = replace(sequence, segments=tuple(segments), key_padding=hidden if bool(hidden.any()) else None)
        found.append(Cut(rows, positions, cut))
        total += len(rows) * len(positions)
    return found if total <= GAIN * padding.numel() else []


def take(x: Tensor, biases: Sequence[Tensor], cut: Cut) -> tuple[Tensor, list[Tensor]]:
    """Take a cut out of (B, L, D) and its biases (1 or B, H, L, L) -> (S, T, D), (1 or S, H, T, T)."""
    tokens = x[cut.rows[:, None], cut.positions]
    made = []
    for bias in biases:
        own = bias if len(bias) == 1 else bias[cut.rows]
        made.append(own.index_select(2, cut.positions).index_select(3, cut.positions))
    return tokens, made


def put(like: Tensor, parts: Sequence[Tensor], found: Sequence[Cut]) -> Tensor:
    """Put (S, T, D) of every cut back to their places in (B, L, D); padded tokens are zero."""
    out = parts[0].new_zeros(like.shape)
    for part, cut in zip(parts, found, strict=True):
        out = out.index_put((cut.rows[:, None], cut.positions), part)
    return out
