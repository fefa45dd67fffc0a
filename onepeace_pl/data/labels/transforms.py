"""Joint transforms of an image and its labels (masks, boxes).

Shapes: H and W height and width of an image.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onepeace_pl.data.labels.masks import IGNORED, open_mask
from onepeace_pl.data.labels.objects import Objects, ObjectsTarget
from onepeace_pl.data.source import Labels, Row
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.utils.json_files import JsonObject


class JointTransform:
    """Applies torchvision's transforms (``torchvision.transforms.v2``) to an image and its labels.

    Outside training only the image is transformed: evaluation compares with labels as they are stored. The label
    ``image_size`` is the (width, height) that labels refer to, ``input_size`` that of the image passed to the model.

    Args:
        train: Transforms of training rows, in order; masks are resized by nearest neighbour. Objects that are
            cropped away are dropped.
        evaluation: Transforms of the image alone.
        field: Modality of the image.

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

    def to_config(self) -> JsonObject:
        """Return class path and arguments of what is applied outside training, for model folders.

        Raises:
            UserError: A transform does not keep an argument as an attribute, or one is no plain value.
        """
        kind = type(self)
        steps = [_step_config(step) for step in self.evaluation]
        return {
            "class_path": f"{kind.__module__}.{kind.__qualname__}",
            "init_args": {"evaluation": steps, "field": self.field},
        }

    def __call__(self, row: Row, *, train: bool, rng: np.random.Generator) -> Row:
        """Return the changed row.

        Raises:
            UserError: The image or its mask is unreadable, or they differ in size.
        """
        from torchvision.transforms.v2.functional import pil_to_tensor
        from torchvision.tv_tensors import Image

        labels = dict(row.labels)
        if "mask" in labels:
            labels["mask"] = open_mask(labels["mask"])
            labels["image_size"] = labels["mask"].shape[::-1]
        picture = open_image(row.fields[self.field], labels.get("image_size"))
        if (image_size := tuple(labels.setdefault("image_size", picture.size))) != picture.size:
            what = "mask has" if "mask" in labels else "labels are for"
            (width, height), size = image_size, f"{picture.width} x {picture.height}"
            raise UserError(
                f"the {what} {width} x {height} pixels and its image {size}; give both the same size"
            )
        if "objects" in labels and self.read_objects is not None:
            labels["objects"] = self.read_objects(labels)
        image: Any = Image(pil_to_tensor(picture))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            if train:
                image, labels = _apply_jointly(self.train, image, labels)
            else:
                image = _apply(self.evaluation, image)
        labels["input_size"] = (image.shape[-1], image.shape[-2])
        array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        return Row(row.id, {**row.fields, self.field: array}, labels)


class VariedCrop(nn.Module):
    """Random square crop that is not dominated by one class (mmsegmentation's ``cat_max_ratio``).

    A side that is shorter stays as it is; batches are padded where they are collated.

    Args:
        size: Side of the square.
        cat_max_ratio: Largest share of one class; after ten crops with more, the last is taken.
    """

    def __init__(self, size: int, cat_max_ratio: float = 0.75) -> None:
        super().__init__()
        if size < 1 or not 0 < cat_max_ratio <= 1:
            raise UserError(
                f"size={size} must be at least 1, and cat_max_ratio={cat_max_ratio} a share above 0"
            )
        self.size, self.cat_max_ratio = size, cat_max_ratio

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Crop image, mask and boxes together."""
        from torchvision.transforms.v2.functional import crop

        height, width = inputs["image"].shape[-2:]
        high, wide = min(self.size, height), min(self.size, width)
        for _ in range(10):
            top = int(torch.randint(height - high + 1, ()))
            left = int(torch.randint(width - wide + 1, ()))
            if "mask" not in inputs or self._varied(inputs["mask"][top : top + high, left : left + wide]):
                break
        return {name: crop(value, top, left, high, wide) for name, value in inputs.items()}

    def _varied(self, mask: Tensor) -> bool:
        counts = torch.bincount(mask.flatten().long(), minlength=IGNORED + 1)[:IGNORED]
        return bool((counts > 0).sum() > 1 and counts.max() < self.cat_max_ratio * counts.sum())


def _step_config(step: nn.Module) -> JsonObject:
    kind, kept = type(step), vars(step)
    own = kind.__init__ is not nn.Module.__init__  # whose signature is (*args, **kwargs)
    names = list(inspect.signature(kind.__init__).parameters)[1:] if own else []
    options = {name: _plain(kept.get(name, step)) for name in names}
    for name, value in options.items():
        try:
            json.dumps(value)
        except TypeError:
            raise UserError(f"{kind.__name__} does not keep its option {name!r} as a plain value") from None
    # torchvision's public module: its private ones move
    module = "torchvision.transforms.v2" if kind.__module__.startswith("torchvision.") else kind.__module__
    return {"class_path": f"{module}.{kind.__qualname__}", "init_args": options}


def _plain(value: object) -> object:
    return value.name if isinstance(value, Enum) else value


def _apply_jointly(steps: Sequence[nn.Module], image: Any, labels: Labels) -> tuple[Any, dict[str, Any]]:
    from torchvision.tv_tensors import BoundingBoxes, Mask

    inputs, objects = {"image": image}, labels.get("objects")
    if "mask" in labels:
        inputs["mask"] = Mask(torch.from_numpy(labels["mask"]))
    if isinstance(objects, Objects):
        boxes = torch.from_numpy(objects.boxes)
        inputs["boxes"] = BoundingBoxes(boxes, format="XYXY", canvas_size=image.shape[-2:])
        if objects.masks is not None:
            inputs["masks"] = Mask(torch.from_numpy(objects.masks))
    inputs = _apply(steps, inputs)
    changed: dict[str, Any] = {"mask": inputs["mask"].numpy()} if "mask" in inputs else {}
    if isinstance(objects, Objects):
        masks = inputs["masks"].numpy() if "masks" in inputs else None
        moved = replace(objects, boxes=inputs["boxes"].numpy(), masks=masks)
        changed["objects"] = moved.visible()
    return inputs["image"], {**labels, **changed}


def _apply(steps: Sequence[nn.Module], inputs: Any) -> Any:
    for step in steps:
        inputs = step(inputs)
    return inputs
