"""What was found in a picture, drawn over it. Shapes: H and W height and width, N objects."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8]
SHOWN = 0.3
"""Score from which a find is drawn."""
LEGIBLE = 192
"""Pixels of a picture's height below which names would hide it; it is enlarged then, pixel by pixel."""


def palette(count: int) -> list[tuple[int, int, int]]:
    """Return as many colours, neighbours far apart on the circle of hues."""
    hues = [(number * 0.618034) % 1.0 for number in range(count)]
    lightness = [(0.5, 0.65, 0.38)[number % 3] for number in range(count)]
    return [
        tuple(round(255 * part) for part in colorsys.hls_to_rgb(h, level, 0.9))  # type: ignore[misc]
        for h, level in zip(hues, lightness, strict=True)
    ]


def drawn_mask(picture: Picture, mask: Tensor, classes: int, share: float = 0.6) -> Picture:
    """Colour each pixel by its class.

    Args:
        picture: (H, W, 3).
        mask: (H, W) class numbers; pixels of others stay as they are.
        classes: Number of classes.
        share: Of the colour in the mixture.
    """
    numbers = mask.cpu().numpy()
    colours = np.array(palette(classes), dtype=np.float32)
    known = numbers < classes
    made = picture.astype(np.float32)
    made[known] = (1 - share) * made[known] + share * colours[numbers[known]]
    return made.round().astype(np.uint8)


def drawn_objects(picture: Picture, found: Mapping[str, Any], names: Sequence[str]) -> Picture:
    """Draw boxes with names, and outlines where there are any; a small picture is enlarged before.

    Args:
        picture: (H, W, 3).
        found: ``boxes`` (N, 4), ``classes``; ``masks`` (N, H, W) and ``scores`` where there are any.
        names: Of the classes.
    """
    from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

    boxes, classes, scores = found["boxes"].cpu(), found["classes"].cpu(), found.get("scores")
    kept = torch.ones(len(classes), dtype=torch.bool) if scores is None else scores.cpu() >= SHOWN
    times = max(1, LEGIBLE // picture.shape[0])
    picture = picture.repeat(times, 0).repeat(times, 1)
    if not kept.any():
        return picture
    image = torch.from_numpy(picture).permute(2, 0, 1)
    colours = palette(len(names))
    mine = [colours[number] for number in classes[kept].tolist()]
    if "masks" in found:
        masks = found["masks"].cpu()[kept].bool().repeat_interleave(times, 1).repeat_interleave(times, 2)
        image = draw_segmentation_masks(image, masks, alpha=0.5, colors=mine)
    said = [names[number] for number in classes[kept].tolist()]
    if scores is not None:
        said = [f"{name} {score:.2f}" for name, score in zip(said, scores.cpu()[kept].tolist(), strict=True)]
    limits = torch.tensor([picture.shape[1], picture.shape[0]] * 2) - 1
    corners = torch.minimum(boxes[kept].clamp(min=0) * times, limits)
    image = draw_bounding_boxes(image, corners, said, colors=mine)
    return np.asarray(image.permute(1, 2, 0), dtype=np.uint8)
