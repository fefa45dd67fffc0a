"""Alignment: two modalities of one sample are drawn together, those of different samples apart.

Shapes: B samples a rank, W ranks, D width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from onepeace_pl.objectives.gather import check_equal_rows, gather_rows, world
from onepeace_pl.objectives.info_nce import info_nce

KeyGradient = Literal["local", "exact"]


class Alignment(NamedTuple):
    """What :class:`CrossModalContrast` gives; the pairs are (first to second, second to first).

    Attributes:
        loss: Scalar, half the sum of both directions, over this rank's samples.
        losses: Scalars without gradient, one a direction.
        accuracies: Scalars without gradient, share of samples whose counterpart scores highest.
    """

    loss: Tensor
    losses: tuple[Tensor, Tensor]
    accuracies: tuple[Tensor, Tensor]


class CrossModalContrast(nn.Module):
    """InfoNCE in both directions against the embeddings of all ranks.

    The loss is over this rank's samples; averaging it and its gradients over ranks, as DDP does, gives those
    of the whole batch.

    Args:
        gradient: What reaches the key side. ``"local"``: nothing, on no rank, this rank's own slice included;
            so each direction trains its queries alone. This is the original's rule. ``"exact"``: everything,
            across ranks too; the average over ranks is then the gradient that one process with all samples
            would have.
        smoothing: Label smoothing in [0, 1); the original uses none here.
        tile: Rows of logits alive at a time.

    Raises:
        ValueError: If ``gradient`` is neither of the two.

    Source: arXiv 2305.11172 section 3.3 (cross-modal contrastive learning).
    """

    def __init__(self, gradient: KeyGradient = "local", smoothing: float = 0.0, tile: int = 1024) -> None:
        super().__init__()
        if gradient not in get_args(KeyGradient):
            raise ValueError(f"gradient must be one of {', '.join(get_args(KeyGradient))}, not {gradient!r}")
        self.gradient = gradient
        self.smoothing = smoothing
        self.tile = tile

    def extra_repr(self) -> str:
        """Name the options in the module's printed form."""
        return f"gradient={self.gradient!r}, smoothing={self.smoothing}, tile={self.tile}"

    def forward(
        self, first: Tensor, second: Tensor, scale: Tensor | float, contents: Tensor | None = None
    ) -> Alignment:
        """Contrast the paired rows of two modalities.

        Args:
            first: (B, D) unit vectors.
            second: (B, D) unit vectors; row i belongs to row i of ``first``.
            scale: Inverse temperature, already exponentiated and clamped.
            contents: (B, K) int64, what each row holds. Rows of any rank that agree in one of the K numbers (equal
                texts, equal pictures) are no negatives of each other. None takes all others as negatives, as the
                original does.

        Returns:
            Loss and both directions' losses and accuracies.

        Raises:
            ValueError: If the two sides, or the batches of two ranks, differ in shape.
        """
        if first.shape != second.shape:
            raise ValueError(
                f"both sides must have the same shape, not {tuple(first.shape)} and {tuple(second.shape)}"
            )
        check_equal_rows(first)
        rank, _ = world()
        size = first.shape[0]
        targets = torch.arange(rank * size, (rank + 1) * size, device=first.device)
        exact = self.gradient == "exact"
        held = None if contents is None else (contents, gather_rows(contents))
        forth = info_nce(first, gather_rows(second, exact), targets, scale, self.smoothing, self.tile, held)
        back = info_nce(second, gather_rows(first, exact), targets, scale, self.smoothing, self.tile, held)
        return Alignment(
            loss=(forth.loss + back.loss) / 2,
            losses=(forth.loss.detach(), back.loss.detach()),
            accuracies=(forth.accuracy, back.accuracy),
        )
