"""Object annotations of an image: boxes, classes, masks. Shapes: N objects, H and W height and width of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.data.labels.checking import check_object
from onepeace_pl.data.labels.segmentations import decode_segmentation
from onepeace_pl.data.labels.targets import ClassNumbers, TargetReader
from onepeace_pl.data.source import Labels
from onepeace_pl.errors import UserError

SMALLEST = 1.0
"""Shortest side in pixels of a box that is kept after a crop."""

MOST_PIXELS = 1 << 32
"""Pixels of all masks of an image, a byte each."""


@dataclass(frozen=True)
class Objects:
    """Annotated objects as arrays.

    Attributes:
        boxes: (N, 4) float32, corners x0, y0, x1, y1 in pixels.
        classes: (N,) int64.
        crowd: (N,) bool, True where a region stands for many objects: nothing to train on.
        areas: (N,) float32, pixels as annotated; else of the mask, or without masks of the box.
        masks: (N, H, W) bool; None without segmentations.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.classes)

    @classmethod
    def of(
        cls,
        objects: Sequence[Labels],
        image_size: tuple[int, int],
        classes: Sequence[str],
        numbers: ClassNumbers,
        masks: bool = False,
    ) -> Self:
        """Convert the label ``objects`` of a row.

        Args:
            objects: Each with ``class`` and ``box``, and optionally ``segmentation`` (polygons, RLE or an array),
                ``crowd`` and ``area``.
            image_size: Width and height of the image.
            classes: Names of the classes.
            numbers: Their indices.
            masks: Whether to decode segmentations.

        Raises:
            UserError: A class is unknown, a box is reversed or outside the image, or a segmentation is missing or
                invalid.
        """
        boxes = np.zeros((len(objects), 4), dtype=np.float32)
        indices = np.zeros(len(objects), dtype=np.int64)
        for place, thing in enumerate(objects):
            check_object(place, thing, image_size, classes)
            boxes[place], indices[place] = thing["box"], numbers(thing["class"], "class")
        limits = np.array([*image_size, *image_size], dtype=np.float32)
        crowd = np.array([bool(thing.get("crowd")) for thing in objects], dtype=np.bool_)
        decoded = None
        if masks:
            width, height = map(int, image_size)
            if len(objects) * height * width > MOST_PIXELS:
                raise UserError(
                    f"{len(objects)} masks of an image of {width} x {height} pixels take "
                    f"{len(objects) * height * width / 2**30:.0f} GiB; crop the image, or leave it out"
                )
            decoded = np.zeros((len(objects), height, width), dtype=np.bool_)
            for place, thing in enumerate(objects):
                if thing.get("segmentation") is None:
                    raise UserError(
                        f"object {place} has no segmentation; give it one, or set the task's masks to false"
                    )
                decoded[place] = decode_segmentation(thing["segmentation"], height, width)
        boxes = np.clip(boxes, 0, limits)
        filled = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) if decoded is None else decoded.sum((1, 2))
        areas = [thing.get("area", there) for thing, there in zip(objects, filled, strict=True)]
        return cls(boxes, indices, crowd, np.array(areas, dtype=np.float32), decoded)

    def select(self, kept: NDArray[np.bool_]) -> Self:
        """Return the objects selected by a boolean array."""
        masks = None if self.masks is None else self.masks[kept]
        names = ("boxes", "classes", "crowd", "areas")
        return replace(self, **{name: getattr(self, name)[kept] for name in names}, masks=masks)

    def visible(self) -> Self:
        """Return the objects that are still visible: a crop cuts some away or leaves slivers."""
        kept = np.all(self.boxes[:, 2:] - self.boxes[:, :2] >= SMALLEST, axis=1)
        if self.masks is not None:
            kept = kept & np.any(self.masks, axis=(1, 2))
        return self.select(kept)


class ObjectsTarget(TargetReader):
    """Objects to detect: ``objects`` -> :class:`Objects`.

    Args:
        classes: Class names in the order of their indices.
        masks: Whether to decode segmentations.
    """

    loaded_labels = ("input_size",)  # masks are opened no earlier

    def __init__(self, classes: Sequence[str], masks: bool = False) -> None:
        self.classes, self.numbers, self.masks = tuple(classes), ClassNumbers(classes), masks

    def __call__(self, labels: Labels) -> Objects:
        """Return the objects; an image may have none.

        Raises:
            UserError: There is no such label, or an object is invalid.
        """
        if "objects" not in labels:
            raise UserError(f"no label 'objects'; the row has {', '.join(labels) or 'none'}")
        objects = labels["objects"]
        if isinstance(objects, Objects):
            if self.masks and objects.masks is None:
                raise UserError("objects without masks; set the task's masks to false")
            return objects
        if "image_size" not in labels:
            raise UserError("no label 'image_size', the width and height of the image in pixels")
        return Objects.of(objects, labels["image_size"], self.classes, self.numbers, self.masks)

    def collate(self, targets: Sequence[Objects]) -> list[dict[str, Tensor]]:
        """Return for each row the tensors ``boxes``, ``classes``, ``crowd``, ``areas`` and optionally ``masks``."""
        names = ("boxes", "classes", "crowd", "areas", *(("masks",) if self.masks else ()))
        return [{name: torch.from_numpy(getattr(t, name)) for name in names} for t in targets]
