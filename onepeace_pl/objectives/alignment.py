"""Cross-modal contrastive learning (CLIP loss): aligns two modalities of a sample by InfoNCE over all ranks.

Shapes: B samples a rank, W ranks, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from onepeace_pl.backbone.matryoshka import check_matryoshka_dims, truncate
from onepeace_pl.errors import UserError
from onepeace_pl.objectives.gather import check_equal_rows, gather_rows, world
from onepeace_pl.objectives.info_nce import InfoNCE, info_nce

KeyGradient = Literal["local", "exact"]


class Alignment(NamedTuple):
    """Output of :class:`CrossModalContrast`; pairs are (first to second, second to first).

    Attributes:
        loss: Scalar, mean of both directions over this rank's samples; with several lengths their weighted mean.
        losses: Detached scalars, one per direction, of the full length.
        accuracies: Detached scalars, in-batch top-1 accuracy of each direction, of the full length.
        truncated: Accuracies of each shorter length that is trained.
    """

    loss: Tensor
    losses: tuple[Tensor, Tensor]
    accuracies: tuple[Tensor, Tensor]
    truncated: dict[int, tuple[Tensor, Tensor]]


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
        matryoshka_dims: Lengths that are trained beside each other, the width D among them; empty for D alone. The
            loss is the weighted mean of those of the vectors cut to each length and normalised again, so that
            vectors can be cut after training.
        matryoshka_weights: Weight of each length; None weighs all alike.

    Raises:
        UserError: ``gradient`` is unknown, or lengths and weights are not as many or not positive.

    Source: arXiv 2305.11172, section 3.3 (cross-modal contrastive learning); arXiv 2205.13147 (Matryoshka
    representation learning), with the options of sentence-transformers' ``MatryoshkaLoss``.
    """

    def __init__(
        self,
        gradient: KeyGradient = "local",
        smoothing: float = 0.0,
        tile: int = 1024,
        matryoshka_dims: Sequence[int] = (),
        matryoshka_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if gradient not in get_args(KeyGradient):
            raise UserError(f"gradient must be one of {', '.join(get_args(KeyGradient))}, not {gradient!r}")
        self.gradient = gradient
        self.smoothing = smoothing
        self.tile = tile
        self.weights = _shares(matryoshka_dims, matryoshka_weights)

    def extra_repr(self) -> str:
        """Return the options for ``repr``."""
        nested = f", matryoshka_dims={list(self.weights)}" if self.weights else ""
        return f"gradient={self.gradient!r}, smoothing={self.smoothing}, tile={self.tile}{nested}"

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        scale: Tensor | float,
        contents: Tensor | None = None,
        negatives: Tensor | None = None,
    ) -> Alignment:
        """Compute the loss of paired embeddings.

        Args:
            first: (B, D) unit vectors.
            second: (B, D) unit vectors; row i belongs to row i of ``first``.
            scale: Logit scale (inverse temperature), exponentiated and clamped.
            contents: (B, K) int64 content hashes. Rows of any rank that agree in one of the K hashes (equal texts,
                equal images) are not negatives of each other. None takes all other rows as negatives, as the original
                does.
            negatives: (N, D) unit vectors, N alike on all ranks: further candidates of ``first``, none of which is
                right (hard negatives). They are no queries, and have no contents.

        Returns:
            Loss, and losses and accuracies of both directions.

        Raises:
            UserError: The two sides, or the batches of two ranks, differ in shape, or the matryoshka lengths are none
                of vectors of width D.
        """
        if first.shape != second.shape:
            raise UserError(
                f"both sides must have the same shape, not {tuple(first.shape)} and {tuple(second.shape)}"
            )
        width = first.shape[1]
        check_matryoshka_dims(list(self.weights), width)
        check_equal_rows(first)
        rank, _ = world()
        size = first.shape[0]
        targets = torch.arange(rank * size, (rank + 1) * size, device=first.device)
        exact = self.gradient == "exact"
        hashes = None if contents is None else (contents, gather_rows(contents))
        firsts, seconds = gather_rows(first, exact), gather_rows(second, exact)  # once, for all lengths
        if negatives is not None:
            if contents is not None:
                raise UserError("give contents or negatives, not both: contents of negatives are not known")
            check_equal_rows(negatives)
            seconds = torch.cat((seconds, gather_rows(negatives, exact)))

        def contrast(queries: Tensor, keys: Tensor, dim: int) -> InfoNCE:
            return info_nce(
                truncate(queries, dim), truncate(keys, dim), targets, scale, self.smoothing, self.tile, hashes
            )

        dims = self.weights or {width: 1.0}
        found = {dim: (contrast(first, seconds, dim), contrast(second, firsts, dim)) for dim in dims}
        losses = {dim: (forth.loss + back.loss) / 2 for dim, (forth, back) in found.items()}
        loss = losses[width]
        if len(dims) > 1:
            loss = torch.stack([weight * losses[dim] for dim, weight in dims.items()]).sum()
        accuracies = {dim: (forth.accuracy, back.accuracy) for dim, (forth, back) in found.items()}
        forth, back = found[width]
        return Alignment(
            loss=loss,
            losses=(forth.loss.detach(), back.loss.detach()),
            accuracies=accuracies.pop(width),
            truncated=accuracies,
        )


def _shares(dims: Sequence[int], weights: Sequence[float] | None) -> dict[int, float]:
    """Return the share of each length in the loss; their sum is 1."""
    if len(set(dims)) < len(dims):
        raise UserError(f"matryoshka_dims={list(dims)} names a length twice")
    given = [1.0] * len(dims) if weights is None else list(weights)
    if len(given) != len(dims):
        raise UserError(
            f"matryoshka_weights are {len(given)}, matryoshka_dims {len(dims)}; give one for each"
        )
    if any(not 0 < weight < math.inf for weight in given):
        raise UserError(f"matryoshka_weights={given} must be above 0; leave out lengths that are not trained")
    return {dim: weight / sum(given) for dim, weight in zip(dims, given, strict=True)}
