"""Retrieval between the two sides of galleries, for every task that embeds.

Shapes: B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.loading.content import joint_content
from onepeace_pl.metrics import RetrievalMetric, RetrievalResult
from onepeace_pl.objectives.alignment import Alignment
from onepeace_pl.training.task import Task


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
        known = [joint_content(batch.contents, side) for side in (gallery.query, gallery.target)]
        contents = None if known[0] is None or known[1] is None else (known[0], known[1])
        metric.update(query, target, batch.ids, batch.indices, contents)

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


class RetrievalTask(Task):
    """Base of tasks that draw a pair of modalities together and are measured by retrieval.

    Args:
        backbone: The backbone, which must have both.
        data_info: Facts about the data.
        pair: The two modalities.
        ignore_duplicates: Leave rows of a batch that hold the same text, or the same picture or sound, out of each
            other's negatives; for small data, where many do.
    """

    monitor = ("mean_recall", "max")
    measured_on = Gallery

    def __init__(
        self, backbone: Backbone, data_info: DataInfo, pair: Sequence[str], ignore_duplicates: bool = False
    ) -> None:
        super().__init__(backbone, data_info)
        if len(set(pair)) != 2:
            raise ValueError(f"pair: {', '.join(pair)} are not two modalities; name two different ones")
        for name in pair:
            if name not in backbone.modalities:
                raise ValueError(
                    f"pair: no modality {name!r} to train on; the pair is {', '.join(pair)}, the backbone has "
                    f"{', '.join(backbone.modalities)}"
                )
        self.pair = (pair[0], pair[1])
        self.ignore_duplicates = ignore_duplicates
        self.retrieval = RetrievalEvaluation()

    @property
    def compares(self) -> bool:
        """Whether duplicates are left out."""
        return self.ignore_duplicates

    def contents(self, batch: Batch) -> Tensor | None:
        """Return what each row of a training batch holds, (B, 2); None where that is not asked.

        Raises:
            ValueError: The batch does not say, because its data module was not told to compare.
        """
        if not self.ignore_duplicates:
            return None
        if any(name not in batch.contents for name in self.pair):
            raise ValueError("ignore_duplicates: the batch has no contents; set the data module's compare")
        return torch.stack([batch.contents[name] for name in self.pair], 1)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The pair."""
        return self.pair

    def alignment_logs(self, aligned: Alignment, scale: Tensor) -> dict[str, Tensor]:
        """Return what training logs of the alignment of the pair, first to second and back."""
        first, second = self.pair
        return {
            f"accuracy/{first}->{second}": aligned.accuracies[0],
            f"accuracy/{second}->{first}": aligned.accuracies[1],
            f"align/{first}->{second}": aligned.losses[0],
            f"align/{second}->{first}": aligned.losses[1],
            "scale": scale.detach(),
        }

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results."""
        self.retrieval.start(sets)

    def evaluate(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Embed both sides of a gallery's rows."""
        self.retrieval.update(backbone, batch, loader)

    def finish_evaluation(self) -> dict[str, float]:
        """R@k in every direction."""
        return self.retrieval.finish()

    @property
    def results(self) -> Mapping[str, RetrievalResult]:
        """Results by gallery."""
        return self.retrieval.results


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
        merge_duplicates=gallery.merge_duplicates,
    )


def embed_side(backbone: Backbone, batch: Batch, side: Sequence[str]) -> Tensor:
    """Return unit vectors (B, D) of one side: one modality, or several read together."""
    inputs = {name: batch.inputs[name] for name in side}
    if len(inputs) == 1:
        return backbone.embed(inputs)[side[0]]
    return backbone.embed_jointly(inputs)
