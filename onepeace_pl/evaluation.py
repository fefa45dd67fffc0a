"""Retrieval between the two sides of galleries, for every task that embeds.

Shapes: B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation_set import EvaluationSet
from onepeace_pl.data.gallery import Gallery
from onepeace_pl.metrics import RetrievalMetric, RetrievalResult


class RetrievalEvaluation:
    """Embeds galleries batch by batch and retrieves at the end.

    Attributes:
        results: Gallery's name -> result of the last evaluation.
    """

    def __init__(self) -> None:
        self.results: dict[str, RetrievalResult] = {}
        self._galleries: list[Gallery] = []
        self._metrics: list[RetrievalMetric] = []

    def start(self, sets: Sequence[EvaluationSet]) -> None:
        """Begin; batches of gallery i will come as data loader i."""
        self._galleries = [each for each in sets if isinstance(each, Gallery)]
        self._metrics = [metric_for(gallery) for gallery in self._galleries]

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Embed both sides of a batch."""
        gallery, metric = self._galleries[loader], self._metrics[loader]
        metric.to(batch.inputs[gallery.query[0]].values.device)
        query, target = (embed_side(backbone, batch, side) for side in (gallery.query, gallery.target))
        metric.update(query, target, batch.ids, batch.indices)

    def finish(self) -> dict[str, float]:
        """Return R@k by name, ``GALLERY/DIRECTION/R@k`` and the mean of all.

        Raises:
            AboveOptimumError: A result is better than the best achievable one.
        """
        metrics: dict[str, float] = {}
        self.results = {}
        for gallery, metric in zip(self._galleries, self._metrics, strict=True):
            result = metric.compute()
            self.results[gallery.name] = result
            metrics |= {f"{gallery.name}/{name}": value for name, value in result.scalars().items()}
        if self.results:
            metrics["mean_recall"] = sum(r.mean_recall for r in self.results.values()) / len(self.results)
        return metrics


def metric_for(gallery: Gallery) -> RetrievalMetric:
    """Make the metric of a gallery, with its optimum, groups and factors."""
    factors: Mapping[str, Sequence[object]] = {}
    if gallery.factors:
        names = dict.fromkeys(name for row in gallery.factors for name in row)
        factors = {name: [row.get(name) for row in gallery.factors] for name in names}
    return RetrievalMetric(
        gallery.query,
        gallery.target,
        name=gallery.name,
        both_directions=gallery.both_directions,
        one_per_id=gallery.one_per_id,
        rows=len(gallery.rows),
        optimum=gallery.optimum,
        optimum_variants=gallery.optimum_variants,
        groups=gallery.groups,
        factors=factors,
    )


def embed_side(backbone: Backbone, batch: Batch, side: Sequence[str]) -> Tensor:
    """Return unit vectors (B, D) of one side: one modality, or several read together."""
    inputs = {name: batch.inputs[name] for name in side}
    if len(inputs) == 1:
        return backbone.embed(inputs)[side[0]]
    return backbone.embed_jointly(inputs)
