"""Denoising: a student that saw part of a sample restores what a teacher makes of the whole.

Shapes: B samples, L tokens with the summary at index 0, D width, M hidden tokens, N real tokens of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.modalities.base import Mask
from onepeace_pl.objectives.info_nce import info_nce

DenoisingKind = Literal["contrastive", "smooth_l1", "l2", "cosine"]


class Denoising(NamedTuple):
    """What :class:`DenoisingLoss` gives.

    Attributes:
        loss: Scalar, mean over the hidden tokens; 0 where nothing is hidden.
        accuracy: Scalar without gradient, share of hidden tokens told apart from all others of the batch;
            None for the kinds that compare a token with nothing but its own teacher.
    """

    loss: Tensor
    accuracy: Tensor | None


def _mean(per_token: Tensor) -> Tensor:
    """Mean of (M,), 0 with a graph where M is 0."""
    return per_token.sum() / max(per_token.shape[0], 1)


def _smooth_l1(student: Tensor, teacher: Tensor) -> Tensor:
    return F.smooth_l1_loss(student, teacher, reduction="none").mean(1)


def _l2(student: Tensor, teacher: Tensor) -> Tensor:
    return F.mse_loss(student, teacher, reduction="none").mean(1)


def _cosine(student: Tensor, teacher: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(student, teacher, dim=1)


REGRESSIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"smooth_l1": _smooth_l1, "l2": _l2, "cosine": _cosine}
)
"""The ablation's alternatives to contrast: (M, D) student and (M, D) teacher rows -> (M,) losses."""


class DenoisingLoss(nn.Module):
    """Compares the student's hidden tokens with the teacher's tokens. The teacher never receives a gradient.

    Args:
        kind: ``"contrastive"``: the hidden token must be nearer to its own teacher than to any other real
            token of this rank's batch, all as unit vectors. The rest compare it with its own teacher only:
            ``"smooth_l1"`` and ``"l2"`` on the vectors as they are, mean over the width; ``"cosine"`` is one
            minus the cosine. (The paper compares these four and leaves the details of the latter three open.)
        scale: Constant inverse temperature, contrastive only.
        smoothing: Label smoothing in [0, 1), contrastive only.
        tile: Rows of logits alive at a time, contrastive only.

    Raises:
        ValueError: If ``kind`` is unknown.

    Source: arXiv 2305.11172 section 3.3 (intra-modal denoising contrastive learning), table of denoising
    losses.
    """

    def __init__(
        self,
        kind: DenoisingKind = "contrastive",
        scale: float = 2.5,
        smoothing: float = 0.1,
        tile: int = 1024,
    ) -> None:
        super().__init__()
        if kind != "contrastive" and kind not in REGRESSIONS:
            raise ValueError(f"kind must be one of contrastive, {', '.join(REGRESSIONS)}, not {kind!r}")
        self.kind = kind
        self.scale = scale
        self.smoothing = smoothing
        self.tile = tile

    def extra_repr(self) -> str:
        """Name the options in the module's printed form."""
        return f"kind={self.kind!r}, scale={self.scale}, smoothing={self.smoothing}, tile={self.tile}"

    def forward(self, student: Tensor, teacher: Tensor, mask: Mask) -> Denoising:
        """Compare one modality's restored tokens with its teacher tokens.

        Args:
            student: (B, L, D), the mask head's output over all positions.
            teacher: (B, L, D), the encoder's output for the same positions of the whole sample.
            mask: Which positions were hidden, and which are real.

        Returns:
            Loss and, for ``"contrastive"``, accuracy. All in float32 (float64 for float64).

        Raises:
            ValueError: If the two differ in shape.
        """
        if student.shape != teacher.shape:
            raise ValueError(
                "student and teacher must have the same shape, "
                f"not {tuple(student.shape)} and {tuple(teacher.shape)}"
            )
        with torch.autocast(student.device.type, enabled=False):
            hidden = _wide(student.flatten(0, 1).index_select(0, mask.hidden))
            keys = _wide(teacher.detach().flatten(0, 1).index_select(0, mask.keys))
            if self.kind == "contrastive":
                return Denoising(
                    *info_nce(
                        F.normalize(hidden, dim=1),
                        F.normalize(keys, dim=1),
                        mask.targets,
                        self.scale,
                        self.smoothing,
                        self.tile,
                    )
                )
            return Denoising(_mean(REGRESSIONS[self.kind](hidden, keys.index_select(0, mask.targets))), None)


def _wide(rows: Tensor) -> Tensor:
    return rows.to(torch.promote_types(rows.dtype, torch.float32))
