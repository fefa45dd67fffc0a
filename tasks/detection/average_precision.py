"""Average precision by COCO's protocol, counted by pycocotools over a whole set.

Shapes: N objects or finds of a picture, H and W its height and width as stored.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch.distributed as dist
from torch import Tensor

from onepeace_pl.utils.libraries import importing

NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


class AveragePrecision:
    """Takes in finds and objects picture by picture.

    Args:
        classes: Number of classes.
        masks: Whether outlines are compared, too.
    """

    def __init__(self, classes: int, masks: bool) -> None:
        self.classes, self.kinds = classes, ("bbox", "segm") if masks else ("bbox",)
        self._pictures: dict[int, dict[str, Any]] = {}

    def add(
        self, number: int, extent: tuple[int, int], found: Mapping[str, Tensor], there: Mapping[str, Tensor]
    ) -> None:
        """Take in a picture; one that comes twice counts once.

        Args:
            number: Of the picture in its source.
            extent: Width and height as stored.
            found: ``boxes`` (N, 4), ``scores``, ``classes``, and ``masks`` (N, H, W) where outlines are compared, with
                ``mask_scores`` where theirs differ.
            there: The same of the objects, without scores, with ``crowd``, and ``areas`` where those of their outlines
                or boxes will not do.

        Raises:
            ValueError: A box or a score is not finite; pycocotools would count it without a word.
        """
        for name in ("boxes", "scores", "mask_scores"):
            if name in found and not bool(found[name].isfinite().all()):
                raise ValueError(f"picture {number}: {name} that are not finite; have the weights diverged?")
        self._pictures[number] = {
            "extent": extent,
            "found": self._packed(found),
            "there": self._packed(there),
        }

    def finish(self) -> dict[str, float]:
        """Return ``box_AP`` and the others of :data:`NAMES`, over all processes; the same of masks."""
        pictures = self._gathered()
        metrics: dict[str, float] = {}
        for kind in self.kinds:
            values = _evaluate(*self._content(pictures, kind), kind)
            what = "box" if kind == "bbox" else "mask"
            metrics |= {f"{what}_{name}": value for name, value in zip(NAMES, values, strict=True)}
        return metrics

    def _packed(self, things: Mapping[str, Tensor]) -> dict[str, Any]:
        packed: dict[str, Any] = {
            name: things[name].cpu().numpy()
            for name in ("boxes", "scores", "mask_scores", "classes", "crowd", "areas")
            if name in things
        }
        if "segm" in self.kinds:
            packed["masks"] = run_lengths(things["masks"])
        return packed

    def _gathered(self) -> dict[int, dict[str, Any]]:
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return dict(sorted(self._pictures.items()))
        global_blocks: list[dict[int, dict[str, Any]] | None] = [None] * dist.get_world_size()
        dist.all_gather_object(global_blocks, self._pictures)
        merged = {number: each for part in global_blocks for number, each in (part or {}).items()}
        return dict(sorted(merged.items()))

    def _content(
        self, pictures: Mapping[int, Mapping[str, Any]], kind: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the set in COCO's format, and the finds in that of its results."""
        images: list[dict[str, Any]] = []
        notes: list[dict[str, Any]] = []
        finds: list[dict[str, Any]] = []
        for number, picture in pictures.items():
            width, height = picture["extent"]
            images.append({"id": number, "width": width, "height": height})
            for place in range(len(picture["there"]["classes"])):
                note = self._note(number, picture["there"], place)
                note |= {"id": len(notes) + 1, "iscrowd": int(picture["there"]["crowd"][place])}
                areas = picture["there"].get("areas")
                note["area"] = _area(note) if areas is None else float(areas[place])
                notes.append(note)
            found = picture["found"]
            scores = found.get("mask_scores", found["scores"]) if kind == "segm" else found["scores"]
            for place, score in enumerate(scores.tolist()):
                finds.append(self._note(number, found, place) | {"score": score})
        categories = [{"id": number + 1, "name": str(number)} for number in range(self.classes)]
        return {"images": images, "annotations": notes, "categories": categories, "info": {}}, finds

    def _note(self, number: int, things: Mapping[str, Any], place: int) -> dict[str, Any]:
        x0, y0, x1, y1 = map(float, things["boxes"][place])
        note = {
            "image_id": number,
            "category_id": int(things["classes"][place]) + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }
        return note | ({"segmentation": things["masks"][place]} if "masks" in things else {})


def run_lengths(masks: Tensor) -> list[dict[str, Any]]:
    """Return masks (N, H, W) in COCO's packed run lengths, ``size`` and ``counts``."""
    with importing():
        from pycocotools import mask as coco

    drawn = masks.cpu().numpy().astype(np.uint8)
    return [coco.encode(np.asfortranarray(mask)) for mask in drawn]


def _area(note: Mapping[str, Any]) -> float:
    if "segmentation" in note:
        from pycocotools import mask as coco

        return float(coco.area(note["segmentation"]))
    return float(note["bbox"][2] * note["bbox"][3])


def _evaluate(truth: dict[str, Any], finds: list[dict[str, Any]], kind: str) -> list[float]:
    with importing():
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

    if not finds:
        return [0.0] * len(NAMES)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it does
        given = COCO()
        given.dataset = truth
        given.createIndex()
        # without outlines, or it would take the boxes for rectangles of them
        # and with boxes, it would take their areas for those of the outlines
        unwanted = "bbox" if kind == "segm" else "segmentation"
        stripped = [{k: v for k, v in find.items() if k != unwanted} for find in finds]
        counted = COCOeval(given, given.loadRes(stripped), kind)
        counted.evaluate()
        counted.accumulate()
        counted.summarize()
    return [float(value) for value in counted.stats[:6]]
