"""Bounding boxes, instance masks and semantic masks of a scene.

Shapes: N objects of the scene, S side of the image.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.image.render import check_size, overlap_slices, sample_sprite
from onepeace_pl.triworld.world.factors import BACKGROUNDS, KINDS
from onepeace_pl.triworld.world.scene import Scene

SEMANTIC_CLASSES: Final = (*BACKGROUNDS, *KINDS)

Masks = npt.NDArray[np.bool_]


def instance_masks(scene: Scene, size: int = 64) -> Masks:
    """Return instance masks (N, S, S), without occluded parts."""
    check_size(size)
    masks = np.zeros((len(scene.objects), size, size), dtype=np.bool_)
    taken = np.zeros((size, size), dtype=np.bool_)
    nearest_first = sorted(range(len(scene.objects)), key=lambda i: scene.objects[i].distance)
    for number in nearest_first:
        sprite = sample_sprite(scene.objects[number], size)
        overlap = overlap_slices(sprite, size)
        if overlap is None:
            continue
        rows, columns, inner_rows, inner_columns = overlap
        masks[number, rows, columns] = sprite.distance[inner_rows, inner_columns] <= 0
        masks[number] &= ~taken
        taken |= masks[number]
    return masks


def mask_boxes(masks: Masks) -> npt.NDArray[np.float32]:
    """Return bounding boxes of masks, (N, 4) as x0, y0, x1, y1 in pixels; zeros for empty masks."""
    boxes = np.zeros((len(masks), 4), dtype=np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if columns.size:
            box[:] = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return boxes


def boxes(scene: Scene, size: int = 64) -> npt.NDArray[np.float32]:
    """Return bounding boxes of the visible parts, (N, 4) as x0, y0, x1, y1 in pixels."""
    return mask_boxes(instance_masks(scene, size))


def semantic_mask(scene: Scene, size: int = 64) -> npt.NDArray[np.uint8]:
    """Return a semantic mask (S, S) of indices into ``SEMANTIC_CLASSES``: backgrounds first, then kinds."""
    mask = np.full((size, size), BACKGROUNDS.index(scene.background), dtype=np.uint8)
    for thing, region in zip(scene.objects, instance_masks(scene, size), strict=True):
        mask[region] = len(BACKGROUNDS) + KINDS.index(thing.kind)
    return mask
