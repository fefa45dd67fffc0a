"""COCO average precision, computed by pycocotools over a whole set.

Shapes: N objects or detections of an image, H and W its height and width as stored.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.metrics.by_class import ByClass, ClassMetric
from onepeace_pl.utils.libraries import importing

NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


class RunLengths(TypedDict):
    """A mask in COCO's compressed RLE: height and width, and the encoded lengths of runs."""

    size: list[int]
    counts: bytes


class AveragePrecision:
    """COCO average precision of boxes and masks, gathered image by image.

    pycocotools is called directly: torchmetrics' wrapper knows neither scores of masks nor repeated rows.

    Args:
        classes: Number of classes.
        masks: Whether masks are evaluated, too.
    """

    def __init__(self, classes: int, masks: bool) -> None:
        self.classes, self.kinds = classes, ("bbox", "segm") if masks else ("bbox",)
        self._images: dict[int, dict[str, Any]] = {}
        self._of_classes: dict[str, NDArray[np.float64]] = {}
        self._support = np.zeros(classes, dtype=np.int64)

    def update(
        self,
        number: int,
        size: tuple[int, int],
        detections: Mapping[str, Tensor],
        objects: Mapping[str, Tensor],
    ) -> None:
        """Take in an image; one that comes twice counts once.

        Args:
            number: Number of the image in its source.
            size: Width and height as stored.
            detections: ``boxes`` (N, 4), ``scores``, ``classes``, and ``masks`` (N, H, W) where masks are evaluated,
                with ``mask_scores`` where those differ from ``scores``.
            objects: The same without scores, with ``crowd``, and ``areas`` where those of masks or boxes will not do.

        Raises:
            UserError: A box or a score is not finite; pycocotools would accept it silently.
        """
        for name in ("boxes", "scores", "mask_scores"):
            if name in detections and not bool(detections[name].isfinite().all()):
                raise UserError(f"image {number}: {name} that are not finite; have the weights diverged?")
        self._images[number] = {
            "size": size,
            "detections": self._packed(detections),
            "objects": self._packed(objects),
        }

    def compute(self) -> tuple[dict[str, float], int]:
        """Return ``box_AP`` and the others of :data:`NAMES`, the same of masks, and the number of images.

        All processes are gathered; each must call it.
        """
        images = self._gathered()
        metrics: dict[str, float] = {}
        for kind in self.kinds:
            truth, results = self._content(images, kind)
            values, of_classes = _evaluate(truth, results, kind)
            prefix = "box" if kind == "bbox" else "mask"
            self._of_classes[f"{prefix} AP"] = of_classes
            counted = [each["category_id"] - 1 for each in truth["annotations"] if not each["iscrowd"]]
            self._support = np.bincount(np.array(counted, dtype=np.int64), minlength=self.classes)
            metrics |= {f"{prefix}_{name}": value for name, value in zip(NAMES, values, strict=True)}
        return metrics, len(images)

    def by_class(self, classes: Sequence[str]) -> ByClass:
        """Return the average precisions that :meth:`compute` found, by class.

        Args:
            classes: Class names in the order of their indices.
        """
        metrics = {name: ClassMetric(values) for name, values in self._of_classes.items()}
        return ByClass(tuple(classes), self._support, metrics, unit="objects")

    def _packed(self, instances: Mapping[str, Tensor]) -> dict[str, Any]:
        packed: dict[str, Any] = {
            name: instances[name].cpu().numpy()
            for name in ("boxes", "scores", "mask_scores", "classes", "crowd", "areas")
            if name in instances
        }
        if "segm" in self.kinds:
            packed["masks"] = run_lengths(instances["masks"])
        return packed

    def _gathered(self) -> dict[int, dict[str, Any]]:
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return dict(sorted(self._images.items()))
        parts: list[dict[int, dict[str, Any]] | None] = [None] * dist.get_world_size()
        dist.all_gather_object(parts, self._images)
        merged = {number: each for part in parts for number, each in (part or {}).items()}
        return dict(sorted(merged.items()))

    def _content(
        self, gathered: Mapping[int, Mapping[str, Any]], kind: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the ground truth in COCO's format, and the detections in that of its results."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        results: list[dict[str, Any]] = []
        for number, image in gathered.items():
            width, height = image["size"]
            images.append({"id": number, "width": width, "height": height})
            objects, detections = image["objects"], image["detections"]
            for place in range(len(objects["classes"])):
                made = _annotation(number, objects, place)
                made |= {"id": len(annotations) + 1, "iscrowd": int(objects["crowd"][place])}
                areas = objects.get("areas")
                made["area"] = _area(made) if areas is None else float(areas[place])
                annotations.append(made)
            scores = detections["scores"]
            if kind == "segm":
                scores = detections.get("mask_scores", scores)
            for place, score in enumerate(scores.tolist()):
                results.append(_annotation(number, detections, place) | {"score": score})
        categories = [{"id": number + 1, "name": str(number)} for number in range(self.classes)]
        return {"images": images, "annotations": annotations, "categories": categories, "info": {}}, results


def run_lengths(masks: Tensor) -> list[RunLengths]:
    """Return masks (N, H, W) in COCO's compressed RLE."""
    with importing():
        from pycocotools import mask as coco

    return [coco.encode(np.asfortranarray(mask)) for mask in masks.cpu().numpy().astype(np.uint8)]


def _annotation(number: int, instances: Mapping[str, Any], place: int) -> dict[str, Any]:
    x0, y0, x1, y1 = map(float, instances["boxes"][place])
    made = {
        "image_id": number,
        "category_id": int(instances["classes"][place]) + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
    }
    return made | ({"segmentation": instances["masks"][place]} if "masks" in instances else {})


def _area(annotation: Mapping[str, Any]) -> float:
    if "segmentation" in annotation:
        from pycocotools import mask as coco

        return float(coco.area(annotation["segmentation"]))
    return float(annotation["bbox"][2] * annotation["bbox"][3])


def _evaluate(
    truth: dict[str, Any], results: list[dict[str, Any]], kind: str
) -> tuple[list[float], NDArray[np.float64]]:
    """Return the values of :data:`NAMES`, and the AP of each class, NaN for those without objects."""
    with importing():
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

    if not results:
        there = {each["category_id"] for each in truth["annotations"]}
        return [0.0] * len(NAMES), np.array(
            [0.0 if c["id"] in there else np.nan for c in truth["categories"]]
        )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        given = COCO()
        given.dataset = truth
        given.createIndex()
        # with masks present, it would derive the boxes from them, and with boxes the areas of the masks
        unwanted = "bbox" if kind == "segm" else "segmentation"
        stripped = [{k: v for k, v in each.items() if k != unwanted} for each in results]
        counted = COCOeval(given, given.loadRes(stripped), kind)
        counted.evaluate()
        counted.accumulate()
        counted.summarize()
    # IoU thresholds, recalls, classes, areas (all first), numbers of detections (100 last); -1: no object
    precision = counted.eval["precision"][:, :, :, 0, -1].mean((0, 1))
    return [float(value) for value in counted.stats[:6]], np.where(precision >= 0, precision, np.nan)
