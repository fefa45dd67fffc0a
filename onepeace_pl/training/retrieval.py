"""Base of retrieval tasks, and the evaluator of retrieval galleries.

Shapes: B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.backbone.fusion import MeasuredFuse, normalised_sum
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.loading.collate import BatchTransform
from onepeace_pl.data.loading.content import joint_content
from onepeace_pl.data.needs import Needs
from onepeace_pl.errors import UserError
from onepeace_pl.metrics import RetrievalMetric
from onepeace_pl.metrics.composed import ALONE, SUM, compare_vectors, vector_names
from onepeace_pl.metrics.result import JOINT, RetrievalResult
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.objectives.alignment import Alignment
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.task import Reads, Task


class RetrievalEvaluator(Evaluator):
    """Recall at k between the two sides of galleries: ``GALLERY/DIRECTION/R@k``, and ``mean_recall`` over all.

    Several modalities on one side are fused as ``encode`` does by default. Beside it, the other fusion and each
    modality alone are measured on the same queries: ``GALLERY/DIRECTION/sum/R@k``, ``.../audio_alone/R@k`` ...

    Args:
        sets: The galleries, one a data loader.
        fuse: Measure this one vector of several modalities, or the model's ``default``, instead of comparing all.
    """

    def __init__(self, sets: Sequence[EvaluationSet], fuse: MeasuredFuse | None = None) -> None:
        super().__init__()
        self.fuse = fuse
        self._defaults: dict[int, Fuse] = {}
        self._galleries = [each for each in sets if isinstance(each, Gallery)]
        self._metrics = [
            {
                name: metric_for(gallery, name)
                for name in (vector_names(gallery.query, gallery.target) if fuse is None else [JOINT])
            }
            for gallery in self._galleries
        ]

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Embed both sides of a batch."""
        self._update(backbone, batch, loader, {})

    def update_all(self, backbone: Backbone, batch: Batch) -> None:
        """Embed a batch of rows that all galleries share: each field once, and of equal values the first.

        Raises:
            UserError: Rows have several values of a field.
        """
        for name, count in batch.counts().items():
            if count != 1:
                raise UserError(f"{count:g} values of {name} a row; give each row one")
        sides = [side for gallery in self._galleries for side in (gallery.query, gallery.target)]
        fields = dict.fromkeys(
            name for side in sides if self.fuse != JOINT or len(side) == 1 for name in side
        )
        alone = {name: _embed_distinct(backbone, batch, name) for name in fields}
        for loader in range(len(self._galleries)):
            self._update(backbone, batch, loader, alone)

    def _update(self, backbone: Backbone, batch: Batch, loader: int, alone: dict[str, Tensor]) -> None:
        gallery = self._galleries[loader]
        self._defaults[loader] = backbone.default_fuse(
            gallery.query if len(gallery.query) > 1 else gallery.target
        )
        query, target = (
            embed_side(backbone, batch, side, self.fuse, alone) for side in (gallery.query, gallery.target)
        )
        known = [joint_content(batch.contents, side) for side in (gallery.query, gallery.target)]
        contents = None if known[0] is None or known[1] is None else (known[0], known[1])
        for name, metric in self._metrics[loader].items():
            metric.to(query[JOINT].device)
            one, two = (side.get(name, side[JOINT]) for side in (query, target))
            metric.update(one, two, batch.ids, batch.indices, contents)

    def compute(self) -> dict[str, float]:
        """Retrieve in every direction.

        Raises:
            AboveOptimumError: A result is better than the best achievable one.
        """
        results = [
            compare_vectors(
                {name: metric.compute() for name, metric in metrics.items()},
                self._defaults.get(loader, JOINT),
            )
            for loader, metrics in enumerate(self._metrics)
        ]
        self.results = {
            gallery.name: result for gallery, result in zip(self._galleries, results, strict=True)
        }
        return retrieval_metrics(results)


def retrieval_metrics(results: Sequence[RetrievalResult]) -> dict[str, float]:
    """Return the scalars of galleries as ``GALLERY/NAME``, and ``mean_recall`` over them."""
    metrics = {
        f"{result.gallery}/{name}": value for result in results for name, value in result.scalars().items()
    }
    if results:
        metrics["mean_recall"] = sum(result.mean_recall for result in results) / len(results)
    return metrics


class RetrievalTask(Task):
    """Base of tasks that align two modalities and are evaluated by retrieval.

    Args:
        backbone: The backbone, which must have both modalities.
        pair: The two modalities.
        ignore_duplicates: Leave rows of a batch with the same text, image or audio out of each other's negatives; for
            small data, where many have.
        reconstructs: Modalities whose masked tokens are reconstructed.
        batch_transform: Seed of the run -> transform of each collated training batch.
        fields: Further fields that training reads, such as ``text:change``.
    """

    monitor = ("mean_recall", "max")

    def __init__(
        self,
        backbone: Backbone,
        pair: Sequence[str],
        ignore_duplicates: bool = False,
        reconstructs: tuple[str, ...] = (),
        batch_transform: Callable[[int], BatchTransform] | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        if len(set(pair)) != 2:
            raise UserError(f"pair: {', '.join(pair)} are not two modalities; name two different ones")
        for name in pair:
            if name not in backbone.modalities:
                raise UserError(
                    f"pair: no modality {name!r} to train on; the pair is {', '.join(pair)}, the backbone has "
                    f"{', '.join(backbone.modalities)}"
                )
        both = (pair[0], pair[1])
        read = tuple(dict.fromkeys((*both, *map(modality_of, fields))))
        super().__init__(
            Reads(read, reconstructs),
            Needs(
                batch_transform=batch_transform,
                duplicates=ignore_duplicates,
                fields=tuple(dict.fromkeys((*both, *fields))),
                evaluation=Gallery,
            ),
        )
        self.pair = both
        self.ignore_duplicates = ignore_duplicates

    def contents(self, batch: Batch) -> Tensor | None:
        """Return digests of the content of each row, (B, 2); None unless duplicates are ignored.

        Raises:
            UserError: The batch has none: the data module was not connected to the task.
        """
        if not self.ignore_duplicates:
            return None
        if any(name not in batch.contents for name in self.pair):
            raise UserError(
                "ignore_duplicates: the batch has no contents; call the data module's connect(task.needs) first"
            )
        return torch.stack([batch.contents[name] for name in self.pair], 1)

    def alignment_logs(self, aligned: Alignment, scale: Tensor) -> dict[str, Tensor]:
        """Return the logs of the alignment of the pair, first to second and back; of shorter lengths the accuracy."""
        first, second = self.pair
        shorter = {
            f"accuracy_{dim}/{direction}": accuracy
            for dim, both in aligned.truncated.items()
            for direction, accuracy in zip((f"{first}->{second}", f"{second}->{first}"), both, strict=True)
        }
        return shorter | {
            f"accuracy/{first}->{second}": aligned.accuracies[0],
            f"accuracy/{second}->{first}": aligned.accuracies[1],
            f"align/{first}->{second}": aligned.losses[0],
            f"align/{second}->{first}": aligned.losses[1],
            "scale": scale.detach(),
        }

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Retrieve each side of the galleries with the other."""
        return RetrievalEvaluator(sets)


def metric_for(gallery: Gallery, vector: str = JOINT) -> RetrievalMetric:
    """Return the metric of a gallery, with its optimum, groups and factors.

    Args:
        gallery: The gallery.
        vector: Vector of its composed side (:func:`~onepeace_pl.metrics.composed.vector_names`).
    """
    if vector.endswith(ALONE):
        alone = gallery.optimum_alone.get(vector.removesuffix(ALONE), {})
        gallery = replace(gallery, optimum=alone, optimum_variants={})
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


def _embed_distinct(backbone: Backbone, batch: Batch, name: str) -> Tensor:
    """Return unit vectors (B, D) of a field; equal values, such as the image of five captions, are embedded once."""
    field, contents = batch.inputs[name], batch.contents[name]
    distinct, row = torch.unique(contents, return_inverse=True)
    first = torch.stack([(row == number).int().argmax() for number in range(len(distinct))])
    padding = None if field.padding is None else field.padding[first]
    return backbone.embed({name: replace(field, values=field.values[first], padding=padding)})[name][row]


def embed_side(
    backbone: Backbone,
    batch: Batch,
    side: Sequence[str],
    fuse: MeasuredFuse | None = None,
    alone: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Return unit vectors (B, D) of one side: ``joint``, and of several modalities their sum and each alone.

    Args:
        backbone: The backbone.
        batch: The rows.
        side: Fields of the side.
        fuse: Return this vector, or the model's ``default``, alone, under the name ``joint``.
        alone: Vectors of fields of this batch by themselves, as far as they are known; others are added.
    """
    inputs = {name: batch.inputs[name] for name in side}
    if fuse == "default":
        fuse = backbone.default_fuse(side)
    if fuse == JOINT and len(side) > 1:
        return {JOINT: backbone.embed_jointly(inputs)}
    known = {} if alone is None else alone
    if new := {name: value for name, value in inputs.items() if name not in known}:
        known |= backbone.embed(new)
    own = [known[name] for name in side]
    if len(side) == 1:
        return {JOINT: own[0]}
    total = normalised_sum(own)
    if fuse is not None:
        return {JOINT: total}
    vectors = {f"{name}{ALONE}": vector for name, vector in zip(side, own, strict=True)}
    return {**vectors, SUM: total, JOINT: backbone.embed_jointly(inputs)}
