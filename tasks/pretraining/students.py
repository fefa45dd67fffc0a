"""Masked students, and the sampler of their masks (docs/reference/pretraining.md).

Shapes: B samples, L tokens with the CLS token at index 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from onepeace_pl.data.batches import Batch
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.adapter import first_rows
from onepeace_pl.modalities.masking import MaskRule, build_mask


@dataclass
class Student:
    """A masked forward pass, whose outputs are contrasted with a teacher.

    Attributes:
        hide: Masking rules of the modalities, which it reads in one joint pass.
        weights: Loss weights by modality.
        teacher: Teacher of the student: the pass of each modality alone (``own``), or of both together (``joint``).
        apart: Mask the complement of the tokens that the student of the same modality alone masks.
    """

    hide: dict[str, MaskRule]
    weights: dict[str, float] = field(default_factory=dict)
    teacher: Literal["own", "joint"] = "joint"
    apart: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(self.weights.keys() - self.hide.keys())
        if unknown:
            raise UserError(
                f"a student weighs {unknown[0]!r}, which it does not hide; it hides {', '.join(self.hide)}"
            )

    @property
    def active(self) -> bool:
        """Whether any loss weight is not zero."""
        return any(self.weights.get(name, 0.0) for name in self.hide)


class MaskSampler:
    """Batch transform that samples the students' masks as functions of (seed, epoch, sample).

    Args:
        students: Students by name; those of a single modality are sampled first, since others may mask the complement.
        seed: Seed of all masks.
        share: Share of the batch that students read: its first samples, at least one.
    """

    def __init__(self, students: Mapping[str, Student], seed: int, share: float = 1.0) -> None:
        self.students = dict(sorted(students.items(), key=lambda item: len(item[1].hide) > 1))
        self.seed = seed
        self.share = share

    def __call__(self, batch: Batch) -> Batch:
        """Return the same batch with ``masks`` filled in."""
        rows = max(1, round(self.share * len(batch)))
        hidden = {
            (student, modality): torch.zeros(rows, int(batch.lengths[modality].max()) + 1, dtype=torch.bool)
            for student, spec in self.students.items()
            for modality in spec.hide
        }
        for row, index in enumerate(batch.indices[:rows].tolist()):
            rng = np.random.default_rng([self.seed, batch.epoch, index])
            alone: dict[str, np.ndarray] = {}
            for student, spec in self.students.items():
                for modality, rule in spec.hide.items():
                    length = int(batch.lengths[modality][row])
                    starts = batch.word_starts[modality][row] if modality in batch.word_starts else None
                    other = alone.get(modality) if spec.apart else None
                    drawn = rule(length, starts, rng, other)
                    if len(spec.hide) == 1:
                        alone[modality] = drawn
                    hidden[student, modality][row, 1 : length + 1] = torch.from_numpy(drawn)
        paddings = {name: first_rows(part.padding, rows) for name, part in batch.inputs.items()}
        for student, spec in self.students.items():
            batch.masks[student] = {
                modality: build_mask(hidden[student, modality], paddings[modality]) for modality in spec.hide
            }
        return batch
