"""Several sequences as the rows of one matrix, so that a layer that looks at single tokens runs once for all.

Rows are in the order modality, sequence, sample, position: a modality's rows are neighbours, whatever
sequences they come from, and so are those of one sequence within a modality.

Shapes: B batch, L tokens, N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from onepeace_pl.nn.routing import Segment


class Place(NamedTuple):
    """Where one sequence lies.

    Attributes:
        batch: Samples B.
        length: Tokens L of a sample.
        pieces: For each segment its first row and the one behind its last, then the same of its positions.
    """

    batch: int
    length: int
    pieces: list[tuple[int, int, int, int]]


class Packing:
    """Says which rows belong to which sequence.

    Args:
        batches: Samples B of each sequence.
        sequences: Segments of each sequence.

    Attributes:
        segments: The rows of each modality.
        places: The rows of each sequence.
    """

    def __init__(self, batches: Sequence[int], sequences: Sequence[Sequence[Segment]]) -> None:
        self.batches, self.sequences = batches, sequences
        self.segments: list[Segment] = []
        self._pieces: list[tuple[int, Segment]] = []  # in the order of the rows
        self.places = [Place(b, max(s.stop for s in p), []) for b, p in zip(batches, sequences, strict=True)]
        start = 0
        for name in dict.fromkeys(segment.name for segments in sequences for segment in segments):
            stop = start
            for i, segments in enumerate(sequences):
                for segment in segments:
                    if segment.name == name:
                        self._pieces.append((i, segment))
                        first = stop
                        stop += batches[i] * (segment.stop - segment.start)
                        self.places[i].pieces.append((first, stop, segment.start, segment.stop))
            self.segments.append(Segment(name, start, stop))
            start = stop
        self._sizes = [batches[i] * (segment.stop - segment.start) for i, segment in self._pieces]

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """One (B, L, C) or (B, 1, C) for each sequence -> (N, C); a length of 1 stands for all positions."""
        rows = []
        for i, segment in self._pieces:
            x, length = tensors[i], segment.stop - segment.start
            if x.shape[1] == 1 and length > 1:
                x = x.expand(-1, length, -1)
            elif len(self.sequences[i]) > 1:
                x = x[:, segment.start : segment.stop]
            rows.append(x.reshape(-1, x.shape[-1]))
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def unpack(self, rows: Tensor) -> list[Tensor]:
        """(N, C) -> one (B, L, C) for each sequence."""
        parts: list[list[Tensor]] = [[] for _ in self.sequences]
        order: list[list[int]] = [[] for _ in self.sequences]
        pieces = [rows] if len(self._sizes) == 1 else torch.split(rows, self._sizes)
        for (i, segment), piece in zip(self._pieces, pieces, strict=True):
            parts[i].append(piece.view(self.batches[i], segment.stop - segment.start, -1))
            order[i].append(segment.start)
        return [
            p[0]
            if len(p) == 1
            else torch.cat([t for _, t in sorted(zip(o, p, strict=True), key=_first)], dim=1)
            for o, p in zip(order, parts, strict=True)
        ]


def _first(pair: tuple[int, Tensor]) -> int:
    return pair[0]
