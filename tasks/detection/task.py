"""Object detection and instance segmentation (docs/reference/tasks.md).

Shapes: B batch, N objects or detections, H and W height and width in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.objects import ObjectsTarget
from onepeace_pl.dense.drawing import Picture, draw_detections
from onepeace_pl.dense.tiles import check_tiles
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.adapter import PATCH
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.results import DetectionResult, Result
from onepeace_pl.tasks.detection.average_precision import run_lengths
from onepeace_pl.tasks.detection.evaluator import DetectionEvaluator
from onepeace_pl.tasks.detection.tiling import detect_in_tiles
from onepeace_pl.training.dense import DenseTask
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.task import Prediction, targets_of

Detections = dict[str, Tensor]


@runtime_checkable
class TileHead(Protocol):
    """A head whose detections in several tiles can be merged."""

    nms_iou: float
    max_detections: int


class Detection(DenseTask):
    """Detects the objects in an image.

    Metrics are COCO's average precision of boxes (``box_AP``, ``box_AP50``, ...) and of masks (``mask_AP``, ...).

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, which names the classes.
        neck: Makes a feature pyramid, given the encoder's config (:mod:`onepeace_pl.dense`).
        head: Makes detections from the pyramid, given its channels, the number of classes and whether there are masks.
        masks: Predict masks, too; objects then must have them.
        modality: Name of the image adapter.
        tile: Side of square tiles for inference in images that do not fit into memory; None takes whole images.
        stride: Pixels from tile to tile; None takes the tile's side. Let tiles overlap by the size of objects.
    """

    monitor = ("box_AP", "max")
    result_type: ClassVar[type[Result]] = DetectionResult

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
        super().__init__(backbone, data_info, neck, ObjectsTarget(data_info.classes, masks), modality)
        check_tiles(tile, stride, PATCH)
        self.with_masks, self.tile, self.stride = masks, tile, stride or tile
        self.head = head(self.neck.channels, len(data_info.classes), masks)  # type: ignore[arg-type]

    def losses(self, backbone: Backbone, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the head's losses; an image without objects is background."""
        images = batch.inputs[self.modality].values
        targets = [{**each} for each in targets_of(batch)]
        if self.with_masks:  # as large as the batch's images, which are padded
            for each in targets:
                height, width = each["masks"].shape[-2:]
                padding = (0, images.shape[-1] - width, 0, images.shape[-2] - height)
                each["masks"] = nn.functional.pad(each["masks"], padding)
        return self.head(self.neck(backbone.encoder, images), self.sizes(batch)[0], targets), {}

    def outputs(self, backbone: Backbone, batch: Batch) -> list[Detections]:
        """Return the detections in each image, in pixels of the image as stored."""
        fed, stored = self.sizes(batch)
        images = batch.inputs[self.modality].values
        if self.tile is None or self.stride is None:
            whole: list[Detections] = self.head(self.neck(backbone.encoder, images), fed, None, stored)
            return whole
        if not isinstance(self.head, TileHead):
            raise UserError(
                f"tile: {type(self.head).__name__} has no nms_iou and max_detections to merge tiles with"
            )

        def detect(part: Tensor) -> Detections:
            height, width = part.shape[-2:]
            padded = nn.functional.pad(part, (0, -width % PATCH, 0, -height % PATCH))
            detections: list[Detections] = self.head(self.neck(backbone.encoder, padded), [(width, height)])
            return detections[0]

        merge = (self.tile, self.stride, self.head.nms_iou, self.head.max_detections)
        return [
            detect_in_tiles(detect, image[None, :, :height, :width], size, *merge)
            for image, (width, height), size in zip(images, fed, stored, strict=True)
        ]

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Compute average precision, and draw the first rows."""
        return DetectionEvaluator(self, sets, self.with_masks)

    def predictions(self, outputs: Sequence[Detections], batch: Batch) -> list[Prediction]:
        """Return the detections of each row as a list: class, score, box."""
        return [
            {
                "objects": [
                    {
                        "class": self.classes[number],
                        "score": round(score, 6),
                        "box": [round(value, 2) for value in box],
                        **mask,
                    }
                    for number, score, box, mask in zip(
                        each["classes"].tolist(),
                        each["scores"].tolist(),
                        each["boxes"].tolist(),
                        _masks(each),
                        strict=True,
                    )
                ]
            }
            for each in outputs
        ]

    def export(self, dataset: EvaluationSet, predictions: Sequence[Prediction]) -> Mapping[str, str]:
        """Return ``coco.json``, the detections in the format of COCO's server and tools.

        Where masks have scores of their own there is a second file with these, ``coco_masks.json``.
        """
        ids = getattr(dataset.rows, "category_ids", range(1, len(self.classes) + 1))
        numbers = dict(zip(self.classes, ids, strict=True))
        results, masks = [], []
        for prediction in predictions:
            for thing in prediction["objects"]:
                x0, y0, x1, y1 = thing["box"]
                row = str(prediction["id"])
                results.append(
                    {
                        "image_id": int(row) if row.isdecimal() else row,
                        "category_id": numbers[thing["class"]],
                        "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
                        "score": thing["score"],
                        **({"segmentation": thing["mask"]} if "mask" in thing else {}),
                    }
                )
                if "mask_score" in thing:
                    masks.append(results[-1] | {"score": thing["mask_score"]})
        files = {"coco.json": json.dumps(results)}
        return files | ({"coco_masks.json": json.dumps(masks)} if masks else {})

    def draw(self, picture: Picture, prediction: Detections) -> Picture:
        """Draw boxes, masks and names."""
        return draw_detections(picture, prediction, self.classes)


def _masks(detections: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Return the mask of each detection in COCO's RLE, and its own score where it has one; else nothing."""
    if "masks" not in detections:
        return [{} for _ in detections["scores"]]
    masks = [
        {"mask": {"size": packed["size"], "counts": packed["counts"].decode()}}
        for packed in run_lengths(detections["masks"])
    ]
    if "mask_scores" not in detections:
        return masks
    scores = [{"mask_score": round(score, 6)} for score in detections["mask_scores"].tolist()]
    return [mask | score for mask, score in zip(masks, scores, strict=True)]
