"""Which objects are where: boxes, and outlines (spec: tasks, section 14).

Shapes: B batch, N objects or finds, H and W height and width in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.objects import ObjectsTarget
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.dense.drawing import Picture, drawn_objects
from onepeace_pl.dense.tiles import check_tiles
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.modalities.image.adapter import PATCH
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.tasks.detection.average_precision import AveragePrecision, run_lengths
from onepeace_pl.tasks.detection.tiled import find_by_tiles
from onepeace_pl.training.dense import DenseTask


class Detection(DenseTask):
    """Finds the objects of a picture.

    Metrics are COCO's average precision of boxes (``box_AP``, ``box_AP50``, ...) and of masks (``mask_AP``, ...).

    Args:
        backbone: The backbone.
        data_info: Facts about the data; objects are of their classes.
        neck: Makes a pyramid of maps, given the encoder's config (:mod:`onepeace_pl.dense`).
        head: Makes finds of maps, given their channels, the number of classes and whether there are outlines.
        masks: Find outlines, too; objects then must have them.
        modality: Name of the picture adapter.
        tile: Side of the square tiles in which pictures are looked at outside training, for those that do not fit into
            memory; None looks at whole pictures.
        stride: From tile to tile; None for the tile's side. Let tiles overlap by as much as objects are large.
    """

    monitor = ("box_AP", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        neck: Callable[[TransformerConfig], nn.Module],
        head: Callable[[Sequence[int], int, bool], nn.Module],
        masks: bool = True,
        modality: str = "image",
        tile: int | None = None,
        stride: int | None = None,
    ) -> None:
        super().__init__(backbone, data_info, neck, modality)
        check_tiles(tile, stride, PATCH)
        self.with_masks, self.tile, self.stride = masks, tile, stride or tile
        self._read = ObjectsTarget(data_info.classes, masks)
        self.head = head(self.neck.channels, len(data_info.classes), masks)  # type: ignore[arg-type]

    @property
    def read_target(self) -> TargetReader:
        """Read the objects of a row."""
        return self._read

    def prepare(self, data: Any) -> None:
        """Let a transform of the data move objects with their picture."""
        super().prepare(data)
        if getattr(data, "transform", None) is not None:
            data.transform.read_objects = self._read

    def losses(self, backbone: Backbone, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the head's losses; a picture without objects teaches what is background."""
        pictures = batch.inputs[self.modality].values
        targets = [{**each} for each in self.targets(batch)]
        if self.with_masks:  # as large as the batch's pictures, which are padded
            for each in targets:
                height, width = each["masks"].shape[-2:]
                room = (0, pictures.shape[-1] - width, 0, pictures.shape[-2] - height)
                each["masks"] = nn.functional.pad(each["masks"], room)
        return self.head(self.neck(backbone.encoder, pictures), self.sizes(batch)[0], targets), {}

    def outputs(self, backbone: Backbone, batch: Batch) -> Any:
        """Return the finds of each picture, in pixels of the picture as stored."""
        given, stored = self.sizes(batch)
        pictures = batch.inputs[self.modality].values
        if self.tile is None or self.stride is None:
            return self.head(self.neck(backbone.encoder, pictures), given, None, stored)

        overlap, most = self.head.keeps  # type: ignore[misc]

        def find(part: Tensor) -> Any:
            height, width = part.shape[-2:]
            padded = nn.functional.pad(part, (0, -width % PATCH, 0, -height % PATCH))
            (found,) = self.head(self.neck(backbone.encoder, padded), [(width, height)])
            return found

        return [
            find_by_tiles(
                find, picture[None, :, :height, :width], size, self.tile, self.stride, overlap, most
            )
            for picture, (width, height), size in zip(pictures, given, stored, strict=True)
        ]

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results."""
        super().start_evaluation(sets)
        self._precision = [AveragePrecision(len(self.classes), self.with_masks) for _ in sets]

    def columns(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Count the finds; precision keeps them for itself."""
        return {"finds": torch.tensor([len(each["scores"]) for each in outputs])}

    def measured(self, outputs: Any, batch: Batch, loader: int) -> None:
        """Take in the finds and the objects of a batch."""
        super().measured(outputs, batch, loader)
        _, stored = self.sizes(batch)
        rows = zip(batch.indices.tolist(), stored, outputs, self.targets(batch), strict=True)
        for number, extent, found, there in rows:
            self._precision[loader].add(number, extent, found, there)

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
                        **outline,
                    }
                    for kind, score, box, outline in zip(
                        each["classes"].tolist(),
                        each["scores"].tolist(),
                        each["boxes"].tolist(),
                        _outlines(each),
                        strict=True,
                    )
                ]
            }
            for each in outputs
        ]

    def export(self, each: EvaluationSet, answers: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Return ``coco.json``, the finds as COCO's server and tools want them.

        Where outlines have scores of their own there is a second file of them, ``coco_outlines.json``.
        """
        ids = getattr(each.rows, "category_ids", range(1, len(self.classes) + 1))
        numbers = dict(zip(self.classes, ids, strict=True))
        finds, outlines = [], []
        for answer in answers:
            for thing in answer["objects"]:
                x0, y0, x1, y1 = thing["box"]
                row = str(answer["id"])
                finds.append(
                    {
                        "image_id": int(row) if row.isdecimal() else row,
                        "category_id": numbers[thing["class"]],
                        "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
                        "score": thing["score"],
                        **({"segmentation": thing["outline"]} if "outline" in thing else {}),
                    }
                )
                if "outline_score" in thing:
                    outlines.append(finds[-1] | {"score": thing["outline_score"]})
        files = {"coco.json": json.dumps(finds)}
        return files | ({"coco_outlines.json": json.dumps(outlines)} if outlines else {})

    def draw(self, picture: Picture, found: Any) -> Picture:
        """Draw boxes, outlines and names."""
        return drawn_objects(picture, found, self.classes)


def _outlines(found: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Return the outline of each find in COCO's run lengths, and its own score where it has one; else nothing."""
    if "masks" not in found:
        return [{} for _ in found["scores"]]
    outlines = [
        {"outline": {"size": packed["size"], "counts": packed["counts"].decode()}}
        for packed in run_lengths(found["masks"])
    ]
    if "mask_scores" not in found:
        return outlines
    scores = [{"outline_score": round(score, 6)} for score in found["mask_scores"].tolist()]
    return [outline | score for outline, score in zip(outlines, scores, strict=True)]
