"""Intra-modal denoising contrastive learning: masked tokens of a student match the teacher's tokens.

Shapes: B samples, L tokens with CLS at index 0, D width, M masked tokens, N tokens of the batch without padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Mask
from onepeace_pl.objectives.info_nce import info_nce

Precision = Literal["float32", "run"]
DenoisingKind = Literal["contrastive", "smooth_l1", "l2", "cosine"]


class Denoising(NamedTuple):
    """Output of :class:`DenoisingLoss`.

    Attributes:
        loss: Scalar, mean over the masked tokens; 0 without masked tokens.
        accuracy: Detached scalar, top-1 accuracy of masked tokens among all tokens of the batch; None for
            regression losses.
    """

    loss: Tensor
    accuracy: Tensor | None


def _mean(per_token: Tensor) -> Tensor:
    """Mean of (M,); 0 with a graph for M = 0."""
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
"""Regression losses of the ablation: (M, D) student and (M, D) teacher rows -> (M,)."""


class DenoisingLoss(nn.Module):
    """Masked-token loss between a student and a stop-gradient teacher.

    Args:
        kind: ``"contrastive"``: InfoNCE; the negatives are all other tokens of this rank's batch, and tokens are
            L2-normalised. Regression to the token's own teacher: ``"smooth_l1"`` and ``"l2"``, mean over the
            width; ``"cosine"``, one minus the cosine similarity. (The paper compares these four and leaves the
            details of the latter three open.)
        scale: Constant logit scale (inverse temperature), contrastive only.
        smoothing: Label smoothing in [0, 1), contrastive only.
        tile: Rows of logits in memory at a time, contrastive only.
        precision: Of the factors of the products of students and teachers, contrastive only. ``float32``, or ``run``:
            bfloat16 where the model computes in bfloat16, which an accelerator multiplies faster. Their sums and the
            logits are in float32 in any case.

    Raises:
        UserError: ``kind`` or ``precision`` is unknown.

    Source: arXiv 2305.11172, section 3.3 (intra-modal denoising contrastive learning) and the ablation of denoising
    losses.
    """

    def __init__(
        self,
        kind: DenoisingKind = "contrastive",
        scale: float = 2.5,
        smoothing: float = 0.1,
        tile: int = 1024,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        if precision not in get_args(Precision):
            raise UserError(f"precision must be one of {', '.join(get_args(Precision))}, not {precision!r}")
        if kind != "contrastive" and kind not in REGRESSIONS:
            raise UserError(f"kind must be one of contrastive, {', '.join(REGRESSIONS)}, not {kind!r}")
        self.kind = kind
        self.scale = scale
        self.smoothing = smoothing
        self.tile = tile
        self.precision = precision

    def extra_repr(self) -> str:
        """Return the options for ``repr``."""
        return (
            f"kind={self.kind!r}, scale={self.scale}, smoothing={self.smoothing}, tile={self.tile}, "
            f"precision={self.precision!r}"
        )

    def forward(self, student: Tensor, teacher: Tensor, mask: Mask) -> Denoising:
        """Compute the loss of one modality's masked tokens.

        Args:
            student: (B, L, D), output of the mask head.
            teacher: (B, L, D), encoder output of the unmasked sample.
            mask: Masked positions, and positions that are not padding.

        Returns:
            Loss and, for ``"contrastive"``, accuracy, in float32 (float64 for float64).

        Raises:
            UserError: The two differ in shape.
        """
        if student.shape != teacher.shape:
            raise UserError(
                "student and teacher must have the same shape, "
                f"not {tuple(student.shape)} and {tuple(teacher.shape)}"
            )
        kind = student.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else student.dtype
        operands = dtype if self.precision == "run" and dtype == torch.bfloat16 else None
        with torch.autocast(kind, enabled=False):
            masked = _to_float32(student.flatten(0, 1).index_select(0, mask.hidden))
            keys = _to_float32(teacher.detach().flatten(0, 1).index_select(0, mask.keys))
            if self.kind == "contrastive":
                return Denoising(
                    *info_nce(
                        F.normalize(masked, dim=1),
                        F.normalize(keys, dim=1),
                        mask.targets,
                        self.scale,
                        self.smoothing,
                        self.tile,
                        operands=operands,
                    )
                )
            return Denoising(_mean(REGRESSIONS[self.kind](masked, keys.index_select(0, mask.targets))), None)


def _to_float32(rows: Tensor) -> Tensor:
    return rows.to(torch.promote_types(rows.dtype, torch.float32))
