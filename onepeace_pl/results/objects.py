"""Results of detection and segmentation. Shapes: N objects, H and W height and width of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.modalities.base import RawValue
from onepeace_pl.results.base import Result, check_threshold
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class DetectionResult(Result):
    """Detected objects, in descending order of their scores.

    Attributes:
        objects: The objects in plain data: ``class``, ``score``, ``box`` (x0, y0, x1, y1 in pixels of the upright
            image) and, with instance segmentation, ``mask`` in COCO's run-length encoding.
        classes: Names of all classes in the order of their indices.
    """

    objects: tuple[JsonObject, ...]
    classes: tuple[str, ...] = field(repr=False)

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take the objects."""
        return cls(id=id, inputs=inputs, objects=tuple(prediction["objects"]), classes=tuple(classes))

    @property
    def boxes(self) -> NDArray[np.float32]:
        """Boxes, (N, 4): x0, y0, x1, y1 in pixels of the upright image."""
        return np.array([each["box"] for each in self.objects], dtype=np.float32).reshape(-1, 4)

    @property
    def labels(self) -> list[str]:
        """Class names, N."""
        return [each["class"] for each in self.objects]

    @property
    def scores(self) -> NDArray[np.float32]:
        """Scores, (N,)."""
        return np.array([each["score"] for each in self.objects], dtype=np.float32)

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """Instance masks, (N, H, W); None without instance segmentation, or without objects."""
        packed = [each["mask"] for each in self.objects if "mask" in each]
        if not packed:
            return None
        from pycocotools.mask import decode

        return np.stack([decode(mask) for mask in packed]).astype(bool)

    def __str__(self) -> str:
        return ", ".join(f"{each['class']} {each['score']:.2f}" for each in self.objects) or "no object"

    def select(self, top_k: int | None = None, threshold: float | None = None) -> Self:
        """Return the objects with a score of at least ``threshold``."""
        super().select(top_k=top_k)
        if threshold is None:
            return self
        check_threshold(threshold)
        return replace(self, objects=tuple(each for each in self.objects if each["score"] >= threshold))

    def to_dict(self) -> JsonObject:
        """Return id and ``objects``."""
        return {"id": self.id, "objects": list(self.objects)}

    def to_rows(self) -> list[JsonObject]:
        """Return a row of a table for each object: ``class``, ``score``, and the corners of its box."""
        return [
            {
                "id": self.id,
                "class": each["class"],
                "score": each["score"],
                **dict(zip(("x0", "y0", "x1", "y1"), each["box"], strict=True)),
            }
            for each in self.objects
        ]

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw boxes, masks and names of objects with a score of at least 0.3; ``truth`` is not drawn."""
        import torch
        from PIL import Image

        from onepeace_pl.dense.drawing import draw_detections
        from onepeace_pl.results.drawing import fitted, picture_of

        picture = picture_of(self.inputs) or Image.new("RGB", (1, 1))
        drawn = {
            "boxes": torch.from_numpy(self.boxes),
            "classes": torch.tensor([self.classes.index(name) for name in self.labels], dtype=torch.int64),
            "scores": torch.from_numpy(self.scores),
        }
        if (masks := self.masks) is not None:
            drawn["masks"] = torch.from_numpy(masks)
        return fitted(Image.fromarray(draw_detections(np.asarray(picture), drawn, self.classes)), size)


@dataclass(frozen=True, kw_only=True)
class SegmentationResult(Result):
    """Class of each pixel.

    Attributes:
        mask: (H, W) class indices, at the size of the upright image.
        classes: Class names in the order of their indices.
        shares: Share of the image that each class covers, where it covers any.
    """

    mask: NDArray[np.uint8] = field(repr=False, compare=False)
    classes: tuple[str, ...] = field(repr=False)
    shares: Mapping[str, float]

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take mask and shares."""
        return cls(
            id=id,
            inputs=inputs,
            mask=prediction["mask"],
            classes=tuple(classes),
            shares=prediction["shares"],
        )

    def __str__(self) -> str:
        ordered = sorted(self.shares.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {share:.2f}" for name, share in ordered)

    def to_dict(self) -> JsonObject:
        """Return id and ``shares``; the mask is an array for a file of its own."""
        return {"id": self.id, "shares": dict(self.shares)}

    def to_rows(self) -> list[JsonObject]:
        """Return one row of a table: the share of each class."""
        return [{"id": self.id, **{name: self.shares.get(name, 0.0) for name in self.classes}}]

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Colour the pixels of each class over the image; ``truth`` is not drawn."""
        import torch
        from PIL import Image

        from onepeace_pl.dense.drawing import draw_semantic_mask
        from onepeace_pl.results.drawing import fitted, picture_of

        picture = picture_of(self.inputs) or Image.new("RGB", self.mask.shape[::-1])
        made = draw_semantic_mask(np.asarray(picture), torch.from_numpy(self.mask), len(self.classes))
        return fitted(Image.fromarray(made), size)
