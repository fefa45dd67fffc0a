"""Fine-tuning for cross-modal retrieval (docs/reference/tasks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.objectives import CrossModalContrast
from onepeace_pl.training.retrieval import RetrievalTask
from onepeace_pl.training.task import TaskOutput


class Retrieval(RetrievalTask):
    """Aligns the embeddings of two modalities with InfoNCE; measured by R@1, R@5 and R@10 in both directions.

    ``validate`` and ``test`` without a fit evaluate a pretrained model as it is (zero-shot).

    Args:
        backbone: The backbone.
        data_info: Dataset metadata.
        pair: The two modalities.
        gradient: Gradient of the key side: ``local`` none (the original's), ``exact`` the full one.
        ignore_duplicates: Leave rows of a batch with the same text, image or audio out of each other's negatives; the
            original does not.
        tile: Rows of logits alive at a time.
        matryoshka_dims: Lengths of the vectors that alignment trains beside each other, so that ``encode`` may cut
            them (``truncate_dim``), such as ``[128, 64, 32, 16]``; empty for the full one alone.
        matryoshka_weights: Weight of each length; by default all alike.
    """

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        pair: tuple[str, str] = ("image", "text"),
        gradient: Literal["local", "exact"] = "local",
        ignore_duplicates: bool = False,
        tile: int = 1024,
        matryoshka_dims: Sequence[int] = (),
        matryoshka_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(backbone, pair, ignore_duplicates)
        self.contrast = CrossModalContrast(
            gradient, tile=tile, matryoshka_dims=matryoshka_dims, matryoshka_weights=matryoshka_weights
        )
        backbone.add_matryoshka_dims(matryoshka_dims)

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Contrast the two sides of a batch; rows of one id count as different, unless duplicates are ignored."""
        passes = [ForwardPass((name,)) for name in self.pair]
        (first, second), scale = backbone(batch.inputs, passes)
        one, two = self.pair
        aligned = self.contrast(first.embeddings[one], second.embeddings[two], scale, self.contents(batch))
        return TaskOutput(aligned.loss, self.alignment_logs(aligned, scale))
