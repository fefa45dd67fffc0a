"""Drawings of segmentation masks and detections over images.

Shapes: H and W height and width, N objects.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8]
SCORE_THRESHOLD = 0.3
"""Score from which a detection is drawn."""
MIN_HEIGHT = 192
"""Height in pixels below which labels would hide an image; smaller ones are enlarged by nearest neighbours."""


def palette(count: int) -> list[tuple[int, int, int]]:
    """Return distinct colours: neighbours are far apart in hue."""
    hues = [(number * 0.618034) % 1.0 for number in range(count)]
    lightness = [(0.5, 0.65, 0.38)[number % 3] for number in range(count)]
    colours = [colorsys.hls_to_rgb(h, level, 0.9) for h, level in zip(hues, lightness, strict=True)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours]


def draw_semantic_mask(image: Picture, mask: Tensor, classes: int, alpha: float = 0.6) -> Picture:
    """Overlay of a semantic mask.

    Args:
        image: (H, W, 3).
        mask: (H, W) class indices; pixels with greater ones (the ignore index) stay as they are.
        classes: Number of classes.
        alpha: Opacity of the colours.
    """
    numbers = mask.cpu().numpy()
    colours = np.array(palette(classes), dtype=np.float32)
    known = numbers < classes
    made = image.astype(np.float32)
    made[known] = (1 - alpha) * made[known] + alpha * colours[numbers[known]]
    return made.round().astype(np.uint8)


def draw_detections(image: Picture, detections: Mapping[str, Tensor], names: Sequence[str]) -> Picture:
    """Draw boxes with class names, and instance masks if any; a small image is enlarged first.

    Args:
        image: (H, W, 3).
        detections: ``boxes`` (N, 4), ``classes``; optionally ``masks`` (N, H, W) and ``scores``.
        names: Class names.
    """
    from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

    boxes, classes, scores = detections["boxes"].cpu(), detections["classes"].cpu(), detections.get("scores")
    kept = torch.ones(len(classes), dtype=torch.bool) if scores is None else scores.cpu() >= SCORE_THRESHOLD
    times = max(1, MIN_HEIGHT // image.shape[0])
    image = image.repeat(times, 0).repeat(times, 1)
    if not kept.any():
        return image
    canvas = torch.from_numpy(image).permute(2, 0, 1)
    colours = palette(len(names))
    box_colours = [colours[number] for number in classes[kept].tolist()]
    if "masks" in detections:
        masks = detections["masks"].cpu()[kept].bool().repeat_interleave(times, 1).repeat_interleave(times, 2)
        canvas = draw_segmentation_masks(canvas, masks, alpha=0.5, colors=box_colours)
    labels = [names[number] for number in classes[kept].tolist()]
    if scores is not None:
        labels = [
            f"{name} {score:.2f}" for name, score in zip(labels, scores.cpu()[kept].tolist(), strict=True)
        ]
    limits = torch.tensor([image.shape[1], image.shape[0]] * 2) - 1
    corners = torch.minimum(boxes[kept].clamp(min=0) * times, limits)
    canvas = draw_bounding_boxes(canvas, corners, labels, colors=box_colours)
    return np.asarray(canvas.permute(1, 2, 0), dtype=np.uint8)
