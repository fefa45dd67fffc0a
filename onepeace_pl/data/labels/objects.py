"""Objects of a picture: classes, boxes, outlines. Shapes: N objects, H and W height and width of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.data.labels.checking import check_object
from onepeace_pl.data.labels.outlines import draw
from onepeace_pl.data.labels.targets import ClassNumbers

SMALLEST = 1.0
"""Pixels of a side below which a box is nothing that could be learnt."""

MOST_PIXELS = 1 << 32
"""Pixels of all outlines of a picture, a byte each."""


@dataclass(frozen=True)
class Objects:
    """Objects in arrays.

    Attributes:
        boxes: (N, 4) float32, corners x0, y0, x1, y1 in pixels.
        classes: (N,) int64.
        crowd: (N,) bool, True where a region stands for many objects: nothing to train on.
        areas: (N,) float32, pixels as annotated; where nothing is said those of the outline, or else of the box.
        masks: (N, H, W) bool; None where outlines are not known.
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
        objects: Sequence[Mapping[str, Any]],
        extent: tuple[int, int],
        classes: Sequence[str],
        numbers: ClassNumbers,
        masks: bool = False,
    ) -> Self:
        """Read the label ``objects`` of a row.

        Args:
            objects: Each with ``class`` and ``box``, and where they are known ``outline`` (polygons, RLE or an array)
                ``crowd`` and ``area``.
            extent: Width and height of the picture.
            classes: Names of the classes.
            numbers: Their numbers.
            masks: Whether outlines are wanted.

        Raises:
            ValueError: A class is unknown, a box is reversed or outside the picture, or an outline is missing or none.
        """
        boxes = np.zeros((len(objects), 4), dtype=np.float32)
        kinds = np.zeros(len(objects), dtype=np.int64)
        for place, thing in enumerate(objects):
            check_object(place, thing, extent, classes)
            boxes[place], kinds[place] = thing["box"], numbers(thing["class"], "class")
        limits = np.array([*extent, *extent], dtype=np.float32)
        crowd = np.array([bool(thing.get("crowd")) for thing in objects], dtype=np.bool_)
        outlines = None
        if masks:
            width, height = map(int, extent)
            if len(objects) * height * width > MOST_PIXELS:
                raise ValueError(
                    f"{len(objects)} outlines in a picture of {width} x {height} pixels take "
                    f"{len(objects) * height * width / 2**30:.0f} GiB; cut the picture, or leave it out"
                )
            outlines = np.zeros((len(objects), height, width), dtype=np.bool_)
            for place, thing in enumerate(objects):
                if thing.get("outline") is None:
                    raise ValueError(
                        f"object {place} has no outline; give it one, or set the task's masks to false"
                    )
                outlines[place] = draw(thing["outline"], height, width)
        boxes = np.clip(boxes, 0, limits)
        filled = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) if outlines is None else outlines.sum((1, 2))
        areas = [thing.get("area", there) for thing, there in zip(objects, filled, strict=True)]
        return cls(boxes, kinds, crowd, np.array(areas, dtype=np.float32), outlines)

    def choose(self, kept: NDArray[Any]) -> Self:
        """Return the objects that are marked."""
        masks = None if self.masks is None else self.masks[kept]
        names = ("boxes", "classes", "crowd", "areas")
        return replace(self, **{name: getattr(self, name)[kept] for name in names}, masks=masks)

    def sensible(self) -> Self:
        """Return the objects of which something can be seen: after a crop, some are cut away or slivers."""
        kept = np.all(self.boxes[:, 2:] - self.boxes[:, :2] >= SMALLEST, axis=1)
        if self.masks is not None:
            kept = kept & np.any(self.masks, axis=(1, 2))
        return self.choose(kept)


class ObjectsTarget:
    """``objects`` -> :class:`Objects`.

    Args:
        classes: Names of the classes in the order of their numbers.
        masks: Whether outlines are wanted.

    Attributes:
        late: Labels that are known when a row is made; outlines are drawn no earlier.
    """

    late = ("size",)

    def __init__(self, classes: Sequence[str], masks: bool = False) -> None:
        self.classes, self.numbers, self.masks = tuple(classes), ClassNumbers(classes), masks

    def __call__(self, labels: Mapping[str, Any]) -> Objects:
        """Return the objects; a picture may have none.

        Raises:
            ValueError: There is no such label, or an object makes no sense.
        """
        if "objects" not in labels:
            raise ValueError(f"no label 'objects'; the row has {', '.join(labels) or 'none'}")
        objects = labels["objects"]
        if isinstance(objects, Objects):
            if self.masks and objects.masks is None:
                raise ValueError("objects without outlines; set the task's masks to false")
            return objects
        if "extent" not in labels:
            raise ValueError("no label 'extent', the width and height of the picture in pixels")
        return Objects.of(objects, labels["extent"], self.classes, self.numbers, self.masks)

    def collate(self, targets: Sequence[Objects]) -> list[dict[str, Tensor]]:
        """Return tensors ``boxes``, ``classes``, ``crowd``, ``areas`` and, where wanted, ``masks``, row by row."""
        names = ("boxes", "classes", "crowd", "areas", *(("masks",) if self.masks else ()))
        return [{name: torch.from_numpy(getattr(t, name)) for name in names} for t in targets]
