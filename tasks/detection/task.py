"""Which objects are where: boxes, and outlines (spec: tasks, section 14).

Shapes: B batch, N objects or finds, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.streams import Until
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation_set import EvaluationSet
from onepeace_pl.data.facts import DataFacts
from onepeace_pl.data.objects import ObjectsTarget
from onepeace_pl.data.targets import TargetReader
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.modalities.base import Processor
from onepeace_pl.modalities.processors import AnySizeProcessor
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.supervised import SupervisedTask
from onepeace_pl.task import Step
from tasks.detection.average_precision import AveragePrecision


class Detection(SupervisedTask):
    """Finds the objects of a picture.

    Metrics are COCO's average precision of boxes (``box_AP``, ``box_AP50``, ...) and of masks (``mask_AP``, ...).

    Args:
        backbone: The backbone.
        facts: Facts about the data; objects are of their classes.
        neck: Makes a pyramid of maps, given the encoder's config (:mod:`onepeace_pl.dense`).
        head: Makes finds of maps, given their channels, the number of classes and whether there are outlines.
        masks: Find outlines, too; objects then must have them.
        modality: Name of the picture adapter.
    """

    def __init__(
        self,
        backbone: Backbone,
        facts: DataFacts,
        neck: Callable[[TransformerConfig], nn.Module],
        head: Callable[[Sequence[int], int, bool], nn.Module],
        masks: bool = True,
        modality: str = "image",
    ) -> None:
        super().__init__(backbone, facts)
        self.modality, self.classes, self.with_masks = modality, facts.classes, masks
        self._read = ObjectsTarget(facts.classes, masks)
        self.neck = neck(backbone.config)
        self.head = head(self.neck.channels, len(facts.classes), masks)  # type: ignore[arg-type]

    monitor = ("box_AP", "max")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Pictures."""
        return (self.modality,)

    @property
    def until(self) -> Until:
        """Necks read blocks; the final norms never run."""
        return "blocks"

    @property
    def read_target(self) -> TargetReader:
        """Read the objects of a row."""
        return self._read

    def prepare(self, data: Any) -> None:
        """Let a transform of the data move objects with their picture."""
        super().prepare(data)
        if getattr(data, "transform", None) is not None:
            data.transform.read_objects = self._read

    def check_processors(self, processors: Mapping[str, Processor]) -> None:
        """Refuse a processor that resizes pictures by itself: boxes would not follow."""
        processor = processors.get(self.modality)
        if processor is not None and not isinstance(processor, AnySizeProcessor):
            raise ValueError(
                f"processors.{self.modality}: {type(processor).__name__} changes pictures without their objects; "
                "use AnySizeProcessor, and data.init_args.transform for what changes both"
            )

    def forward(self, backbone: Backbone, batch: Batch) -> Step:
        """Compute the loss; a picture without objects teaches what is background."""
        pictures = batch.inputs[self.modality].values
        targets = [{**each} for each in self._targets(batch)]
        if self.with_masks:  # as large as the batch's pictures, which are padded
            for each in targets:
                height, width = each["masks"].shape[-2:]
                room = (0, pictures.shape[-1] - width, 0, pictures.shape[-2] - height)
                each["masks"] = nn.functional.pad(each["masks"], room)
        losses = self.head(self.neck(backbone.encoder, pictures), _sizes(batch, pictures), targets)
        loss = torch.stack(list(losses.values())).sum()
        return Step(loss, {name: value.detach() for name, value in losses.items()})

    def outputs(self, backbone: Backbone, batch: Batch) -> Any:
        """Return the finds of each picture, in pixels of the picture as stored."""
        pictures = batch.inputs[self.modality].values
        sizes = _sizes(batch, pictures)
        maps = self.neck(backbone.encoder, pictures)
        return self.head(maps, sizes, None, _extents(batch, sizes))

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results."""
        super().start_evaluation(sets)
        self._precision = [AveragePrecision(len(self.classes), self.with_masks) for _ in sets]

    def evaluate(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Take in the finds of a batch, and the objects."""
        found = self.outputs(backbone, batch)
        sizes = _extents(batch, _sizes(batch, batch.inputs[self.modality].values))
        rows = zip(batch.indices.tolist(), sizes, found, self._targets(batch), strict=True)
        for number, extent, mine, there in rows:
            self._precision[loader].add(number, extent, mine, there)
        self._tables[loader].add(batch.indices, {"finds": torch.tensor([len(f["scores"]) for f in found])})

    def _result(self, each: EvaluationSet, columns: Columns) -> LabelledResult:
        metrics = self._precision[self._sets.index(each)].finish()
        rows = len(columns["index"])
        known = {name: value for name, value in metrics.items() if value >= 0}  # -1: no object of that size
        return LabelledResult(each.name, known, rows, each.references, partial=rows < len(each.rows))

    def answers(self, outputs: Any, batch: Batch) -> list[dict[str, Any]]:
        """Give the finds of each row as a list: class, score, box."""
        return [
            {
                "objects": [
                    {
                        "class": self.classes[kind],
                        "score": round(score, 6),
                        "box": [round(value, 2) for value in box],
                    }
                    for kind, score, box in zip(
                        each["classes"].tolist(), each["scores"].tolist(), each["boxes"].tolist(), strict=True
                    )
                ]
            }
            for each in outputs
        ]

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """Not used: the head has losses of its own."""
        raise NotImplementedError

    def measure(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        """Not used: finds are counted over a whole set."""
        raise NotImplementedError

    def _targets(self, batch: Batch) -> list[dict[str, Tensor]]:
        if batch.targets is None:
            raise ValueError("the batch has no objects; set the data module's read_target to the task's")
        return batch.targets  # type: ignore[no-any-return]


def _sizes(batch: Batch, pictures: Tensor) -> list[tuple[int, int]]:
    """Return width and height of each picture as given, without padding."""
    whole = (pictures.shape[-1], pictures.shape[-2])
    return [tuple(labels.get("size", labels.get("extent", whole))) for labels in batch.labels]


def _extents(batch: Batch, sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return width and height of each picture as stored."""
    return [tuple(labels.get("extent", size)) for labels, size in zip(batch.labels, sizes, strict=True)]
