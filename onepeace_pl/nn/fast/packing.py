"""Packing of several sequences into one matrix, so that token-wise layers run once for all of them.

Weights are fetched once, their gradients are made in one product, and under sharding a block is gathered once. Rows
are in the order modality, sequence, sample, position: a modality's rows are neighbours, whatever sequences they come
from, and so are those of one sequence within a modality.

Shapes: B batch, L tokens, N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from onepeace_pl.nn.sequence import Segment, TokenSequence


class Piece(NamedTuple):
    """Position of one segment of one sequence.

    Attributes:
        sequence: Index of the sequence.
        part: Index of the segment within its sequence.
        segment: The segment.
        start: First row.
        stop: The row after the last.
    """

    sequence: int
    part: int
    segment: Segment
    start: int
    stop: int


class Packing:
    """Rows of each sequence.

    Args:
        batches: Samples B of each sequence.
        sequences: Segments of each sequence.
        paddings: For each sequence (B, L) bool, True where attention must not look, or None.
        groups: Consecutive samples of each sequence that are one, see :class:`TokenSequence`.
        members: Index of each sequence among those that were given to :func:`pack`.
        grad: Whether the rows are differentiated.

    Attributes:
        segments: The rows of each modality.
        pieces: All segments in the order of the rows.
    """

    def __init__(
        self,
        batches: Sequence[int],
        sequences: Sequence[Sequence[Segment]],
        paddings: Sequence[Tensor | None] | None = None,
        groups: Sequence[int] | None = None,
        members: Sequence[int] = (),
        grad: bool = True,
    ) -> None:
        self.batches, self.sequences, self.members, self.grad = batches, sequences, members, grad
        self.paddings = [None for _ in batches] if paddings is None else paddings
        self.groups = [1 for _ in batches] if groups is None else groups
        self.segments: list[Segment] = []
        self.pieces: list[Piece] = []
        start = 0
        for name in dict.fromkeys(segment.name for segments in sequences for segment in segments):
            stop = start
            for i, segments in enumerate(sequences):
                for part, segment in enumerate(segments):
                    if segment.name == name:
                        first, stop = stop, stop + batches[i] * (segment.stop - segment.start)
                        self.pieces.append(Piece(i, part, segment, first, stop))
            self.segments.append(Segment(name, start, stop))
            start = stop

    @property
    def lengths(self) -> list[int]:
        """Tokens L of a sample of each sequence."""
        return [segments[-1].stop for segments in self.sequences]

    def pieces_of(self, sequence: int) -> list[Piece]:
        """Positions of the segments of one sequence."""
        return [piece for piece in self.pieces if piece.sequence == sequence]

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """One (B, L, C) or (B, 1, C) for each sequence -> (N, C); a length of 1 stands for all positions."""
        rows = []
        for i, _, segment, _, _ in self.pieces:
            x, length = tensors[i], segment.stop - segment.start
            if x.shape[1] == 1 and length > 1:
                x = x.expand(-1, length, -1)
            elif len(self.sequences[i]) > 1:
                x = x[:, segment.start : segment.stop]
            rows.append(x.reshape(-1, x.shape[-1]))
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def unpack(self, rows: Tensor) -> list[Tensor]:
        """(N, C) -> one (B, L, C) for each sequence."""
        cut = [rows] if len(self.pieces) == 1 else torch.split(rows, [p.stop - p.start for p in self.pieces])
        parts = {(p.sequence, p.part): x for p, x in zip(self.pieces, cut, strict=True)}
        return [
            _joined([parts[i, k].view(batch, s.stop - s.start, -1) for k, s in enumerate(segments)])
            for i, (batch, segments) in enumerate(zip(self.batches, self.sequences, strict=True))
        ]

    def rows_of(self, samples: Sequence[Tensor]) -> Tensor:
        """Rows of some samples (B',) of each sequence, in the order in which :meth:`part` lays them."""
        rows = []
        for i, _, segment, start, _ in self.pieces:
            length = segment.stop - segment.start
            positions = torch.arange(length, device=samples[i].device)
            rows.append((start + samples[i][:, None] * length + positions).flatten())
        return torch.cat(rows)

    def part(self, samples: Sequence[Tensor]) -> Packing:
        """Packing of some samples (B',) of each sequence."""
        return Packing(
            [len(chosen) for chosen in samples],
            self.sequences,
            [None if p is None else p[chosen] for p, chosen in zip(self.paddings, samples, strict=True)],
        )


def pack(sequences: Sequence[TokenSequence]) -> tuple[list[Tensor], list[Packing]]:
    """Make one matrix (N, D) of all sequences with gradient, and one of those without."""
    rows, packings = [], []
    for grad in (True, False):
        members = [i for i, sequence in enumerate(sequences) if sequence.records == grad]
        # smallest first: the order decides how sums are rounded, and published results were made with this one
        members.sort(key=lambda i: sequences[i].tokens.shape[0] * sequences[i].tokens.shape[1])
        if members:
            own = [sequences[i] for i in members]
            packing = Packing(
                [s.tokens.shape[0] for s in own],
                [s.segments for s in own],
                [s.key_padding for s in own],
                [s.group for s in own],
                members,
                grad,
            )
            with torch.set_grad_enabled(grad):
                rows.append(packing.pack([s.tokens for s in own]))
            packings.append(packing)
    return rows, packings


def unpack(rows: Sequence[Tensor], packings: Sequence[Packing]) -> list[Tensor]:
    """Undo :func:`pack`: one (B, L, D) for each sequence."""
    found: dict[int, Tensor] = {}
    for x, packing in zip(rows, packings, strict=True):
        with torch.set_grad_enabled(packing.grad):
            found |= dict(zip(packing.members, packing.unpack(x), strict=True))
    return [found[i] for i in sorted(found)]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
