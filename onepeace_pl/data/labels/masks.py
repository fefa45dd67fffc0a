"""Semantic masks: a class index for each pixel. Shapes: H and W height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.data.source import Labels
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.decoding import load_image

IGNORED: Final = 255
"""Index of pixels that are neither trained on nor evaluated (mmsegmentation's ``ignore_index``)."""


@dataclass(frozen=True)
class StoredMask:
    """A mask file whose pixel values are mapped to class indices.

    Attributes:
        path: The file.
        classes: (256,) int16: class index of each pixel value, ``IGNORED``, or -1 for values that must not occur.
    """

    path: str
    classes: NDArray[np.int16]

    def open(self) -> NDArray[np.uint8]:
        """Load the mask (H, W) of class indices.

        Raises:
            UserError: The file is unreadable, or holds a number without a class.
        """
        stored = open_mask(self.path)
        mask = self.classes[stored]
        if mask.min() < 0:
            number = int(stored[mask < 0][0])
            raise UserError(
                f"{self.path}: number {number} has no class; add it to `class_values` in the place of its class, "
                "or to `ignored_values`"
            )
        return mask.astype(np.uint8)


def open_mask(raw: object) -> NDArray[np.uint8]:
    """Load a mask (H, W) of class indices from a stored mask, a path, encoded bytes, a PIL image or an array.

    Raises:
        UserError: It is unreadable, or not one number for each pixel.
        TypeError: It is something else.
    """
    if isinstance(raw, StoredMask):
        return raw.open()
    if isinstance(raw, str | Path | bytes):
        raw = load_image(raw, "mask")
    if isinstance(raw, Image.Image):
        if raw.mode not in ("L", "P", "I", "I;16", "1"):
            raise UserError(
                f"a mask of mode {raw.mode} has colours, not classes; store the number of a class in each pixel"
            )
        raw = np.array(raw)
    if not isinstance(raw, np.ndarray):
        raise TypeError(f"a mask must be a path, bytes, a PIL image or an array, got {type(raw).__name__}")
    if raw.ndim != 2 or not raw.size or raw.dtype.kind not in "bui":
        raise UserError(f"a mask must be (height, width) whole numbers, got {raw.dtype} {list(raw.shape)}")
    if raw.min() < 0 or raw.max() > 255:
        raise UserError(
            f"a mask has numbers from {raw.min()} to {raw.max()}; classes are 0 to 254, 255 is ignored"
        )
    return np.ascontiguousarray(raw, dtype=np.uint8)


class MaskTarget(TargetReader):
    """``mask`` -> (H, W) uint8, class indices or ``IGNORED``.

    Args:
        classes: Names of the classes in the order of their indices.
    """

    loaded_labels = ("input_size",)  # masks are opened no earlier

    def __init__(self, classes: Sequence[str]) -> None:
        if not classes:
            raise UserError("the data names no classes; set data.init_args.classes to their names or number")
        if len(classes) > IGNORED:
            raise UserError(f"{len(classes)} classes: masks of bytes have at most {IGNORED}")
        self.classes = tuple(classes)

    def __call__(self, labels: Labels) -> NDArray[np.uint8]:
        """Return the mask.

        Raises:
            UserError: There is none, or a number is no class.
        """
        if "mask" not in labels:
            raise UserError(f"no label 'mask'; the row has {', '.join(labels) or 'none'}")
        mask = open_mask(labels["mask"])
        unknown = np.flatnonzero(
            np.bincount(mask.ravel(), minlength=IGNORED + 1)[len(self.classes) : IGNORED]
        )
        if len(unknown):
            number = int(unknown[0]) + len(self.classes)
            raise UserError(
                f"the mask has number {number}, and there are {len(self.classes)} classes, counted from 0; "
                f"write {IGNORED} where nothing is to be learnt"
            )
        return mask

    def collate(self, targets: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        """Return the masks one by one: outside training each has the size in which it is stored."""
        return [torch.from_numpy(target).long() for target in targets]


def padded_masks(masks: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Stack masks (H, W) to (B, *size), padded with ``IGNORED`` at the right and at the bottom."""
    height, width = size
    return torch.stack(
        [F.pad(m, (0, width - m.shape[1], 0, height - m.shape[0]), value=IGNORED) for m in masks]
    )
