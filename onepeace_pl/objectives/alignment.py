"""Cross-modal contrastive learning (CLIP loss): aligns two modalities of a sample by InfoNCE over all ranks.

Shapes: B samples a rank, W ranks, D width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.objectives.gather import check_equal_rows, gather_rows, world
from onepeace_pl.objectives.info_nce import info_nce

KeyGradient = Literal["local", "exact"]


class Alignment(NamedTuple):
    """Output of :class:`CrossModalContrast`; pairs are (first to second, second to first).

    Attributes:
        loss: Scalar, mean of both directions over this rank's samples.
        losses: Detached scalars, one per direction.
        accuracies: Detached scalars, in-batch top-1 accuracy of each direction.
    """

    loss: Tensor
    losses: tuple[Tensor, Tensor]
    accuracies: tuple[Tensor, Tensor]


class CrossModalContrast(nn.Module):
    """Symmetric InfoNCE against the all-gathered embeddings of all ranks.

    The loss is over this rank's samples; its mean and that of its gradients over ranks, as DDP computes them, are those
    of the global batch.

    Args:
        gradient: Gradient of the keys. ``"local"``: none, not even of this rank's own slice; each direction trains
            its queries alone, as in the original. ``"exact"``: full gradient through the all-gather; the mean over
            ranks then equals the gradient of one process with the global batch.
        smoothing: Label smoothing in [0, 1); the original uses none here.
        tile: Rows of logits in memory at a time.

    Raises:
        UserError: ``gradient`` is unknown.

    Source: arXiv 2305.11172, section 3.3 (cross-modal contrastive learning).
    """

    def __init__(self, gradient: KeyGradient = "local", smoothing: float = 0.0, tile: int = 1024) -> None:
        super().__init__()
        if gradient not in get_args(KeyGradient):
            raise UserError(f"gradient must be one of {', '.join(get_args(KeyGradient))}, not {gradient!r}")
        self.gradient = gradient
        self.smoothing = smoothing
        self.tile = tile

    def extra_repr(self) -> str:
        """Return the options for ``repr``."""
        return f"gradient={self.gradient!r}, smoothing={self.smoothing}, tile={self.tile}"

    def forward(
        self, first: Tensor, second: Tensor, scale: Tensor | float, contents: Tensor | None = None
    ) -> Alignment:
        """Compute the loss of paired embeddings.

        Args:
            first: (B, D) unit vectors.
            second: (B, D) unit vectors; row i belongs to row i of ``first``.
            scale: Logit scale (inverse temperature), exponentiated and clamped.
            contents: (B, K) int64 content hashes. Rows of any rank that agree in one of the K hashes (equal texts,
                equal images) are not negatives of each other. None takes all other rows as negatives, as the original
                does.

        Returns:
            Loss, and losses and accuracies of both directions.

        Raises:
            UserError: The two sides, or the batches of two ranks, differ in shape.
        """
        if first.shape != second.shape:
            raise UserError(
                f"both sides must have the same shape, not {tuple(first.shape)} and {tuple(second.shape)}"
            )
        check_equal_rows(first)
        rank, _ = world()
        size = first.shape[0]
        targets = torch.arange(rank * size, (rank + 1) * size, device=first.device)
        exact = self.gradient == "exact"
        hashes = None if contents is None else (contents, gather_rows(contents))
        forth = info_nce(first, gather_rows(second, exact), targets, scale, self.smoothing, self.tile, hashes)
        back = info_nce(second, gather_rows(first, exact), targets, scale, self.smoothing, self.tile, hashes)
        return Alignment(
            loss=(forth.loss + back.loss) / 2,
            losses=(forth.loss.detach(), back.loss.detach()),
            accuracies=(forth.accuracy, back.accuracy),
        )
