"""Changes of a picture in which its labels take part: what says places moves with it.

Shapes: H and W height and width of a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from onepeace_pl.data.batches import Row
from onepeace_pl.data.labels.masks import IGNORED, open_mask
from onepeace_pl.data.labels.objects import Objects, ObjectsTarget
from onepeace_pl.modalities.image.decoding import open_image


class JointTransform:
    """Applies torchvision's transforms (``torchvision.transforms.v2``) to a picture and its labels.

    In training both change. Outside training only the picture does: what is measured is compared with labels as they
    are stored. ``extent`` tells the size of the picture that labels are about, ``size`` as it is handed on, each
    width and height.

    Args:
        train: Transforms of training rows, in order; of masks they take the nearest pixels. Objects of which
            nothing is left in the picture are left out.
        evaluation: Transforms of the picture alone.
        field: Modality of the picture.

    Attributes:
        read_objects: Reads the label ``objects``; a detection task gives its own.
    """

    def __init__(
        self,
        train: list[nn.Module] | None = None,
        evaluation: list[nn.Module] | None = None,
        field: str = "image",
    ) -> None:
        self.train, self.evaluation, self.field = list(train or ()), list(evaluation or ()), field
        self.read_objects: ObjectsTarget | None = None

    def __call__(self, row: Row, *, train: bool, rng: np.random.Generator) -> Row:
        """Return the changed row.

        Raises:
            ValueError: The picture or its mask is unreadable, or they differ in size.
        """
        from torchvision.transforms.v2.functional import pil_to_tensor
        from torchvision.tv_tensors import Image

        labels = dict(row.labels)
        if "mask" in labels:
            labels["mask"] = open_mask(labels["mask"])
            labels["extent"] = labels["mask"].shape[::-1]
        picture = open_image(row.fields[self.field], labels.get("extent"))
        if (extent := tuple(labels.setdefault("extent", picture.size))) != picture.size:
            what = "mask has" if "mask" in labels else "labels are for"
            raise ValueError(
                f"the {what} {extent[0]} x {extent[1]} pixels and its picture {picture.width} x {picture.height}; "
                "they must lie on each other"
            )
        if "objects" in labels and self.read_objects is not None:
            labels["objects"] = self.read_objects(labels)
        image: Any = Image(pil_to_tensor(picture))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            if train:
                image, labels = _together(self.train, image, labels)
            else:
                image = _one_by_one(self.evaluation, image)
        labels["size"] = (image.shape[-1], image.shape[-2])
        array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        return Row(row.id, {**row.fields, self.field: array}, labels)


class VariedCrop(nn.Module):
    """A random square of a picture that is not nearly all of one class (mmsegmentation's ``cat_max_ratio``).

    A side that is shorter stays as it is; batches are padded where they are collated.

    Args:
        size: Side of the square.
        most: Greatest share of one class; after ten squares with more, the last is taken.
    """

    def __init__(self, size: int, most: float = 0.75) -> None:
        super().__init__()
        if size < 1 or not 0 < most <= 1:
            raise ValueError(f"size={size} must be at least 1, and most={most} a share above 0")
        self.size, self.most = size, most

    def forward(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Cut the same square out of everything."""
        from torchvision.transforms.v2.functional import crop

        height, width = given["image"].shape[-2:]
        high, wide = min(self.size, height), min(self.size, width)
        for _ in range(10):
            top = int(torch.randint(height - high + 1, ()))
            left = int(torch.randint(width - wide + 1, ()))
            if "mask" not in given or self._varied(given["mask"][top : top + high, left : left + wide]):
                break
        return {name: crop(value, top, left, high, wide) for name, value in given.items()}

    def _varied(self, mask: Any) -> bool:
        counts = torch.bincount(mask.flatten().long(), minlength=IGNORED + 1)[:IGNORED]
        return bool((counts > 0).sum() > 1 and counts.max() < self.most * counts.sum())


def _together(
    steps: Sequence[nn.Module], image: Any, labels: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    from torchvision.tv_tensors import BoundingBoxes, Mask

    given, objects = {"image": image}, labels.get("objects")
    if "mask" in labels:
        given["mask"] = Mask(torch.from_numpy(labels["mask"]))
    if isinstance(objects, Objects):
        boxes = torch.from_numpy(objects.boxes)
        given["boxes"] = BoundingBoxes(boxes, format="XYXY", canvas_size=image.shape[-2:])
        if objects.masks is not None:
            given["masks"] = Mask(torch.from_numpy(objects.masks))
    given = _one_by_one(steps, given)
    changed: dict[str, Any] = {"mask": given["mask"].numpy()} if "mask" in given else {}
    if isinstance(objects, Objects):
        masks = given["masks"].numpy() if "masks" in given else None
        moved = replace(objects, boxes=given["boxes"].numpy(), masks=masks)
        changed["objects"] = moved.sensible()
    return given["image"], {**labels, **changed}


def _one_by_one(steps: Sequence[nn.Module], given: Any) -> Any:
    for step in steps:
        given = step(given)
    return given
