"""Decode COCO segmentations to binary masks: polygons, RLE or arrays. Shapes: H and W height and width of the image.

pycocotools does not validate: a polygon with NaN, or with corners far outside, ends the process. So segmentations are
validated first, and RLE is decoded without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import importing

Segmentation: TypeAlias = Any
"""Polygons ``[[x, y, x, y, ...], ...]``, RLE ``{"size": [H, W], "counts": ...}`` or an array (H, W)."""

_LONGEST: Final = 1 << 22
"""Longest perimeter in pixels; pycocotools keeps several points for each."""


def decode_segmentation(segmentation: Segmentation, height: int, width: int) -> NDArray[np.bool_]:
    """Return the binary mask (H, W) of a segmentation.

    Raises:
        UserError: As `check_segmentation`.
    """
    check_segmentation(segmentation, height, width)
    if isinstance(segmentation, np.ndarray):
        return segmentation.astype(np.bool_)
    if isinstance(segmentation, Mapping):
        runs = _runs(segmentation["counts"])
        inside = np.arange(len(runs)) % 2 == 1
        return np.repeat(inside, runs).reshape(width, height).T
    with importing():
        from pycocotools import mask as coco

    polygons = [list(map(float, polygon)) for polygon in segmentation]
    around = sum(np.abs(np.diff(np.reshape(p, (-1, 2)), axis=0)).max(1).sum() for p in polygons)
    if around > _LONGEST:
        raise UserError(f"a polygon with a perimeter of {around:.0f} pixels; leave the object out")
    mask: NDArray[np.bool_] = coco.decode(coco.frPyObjects(polygons, height, width)).any(-1)
    return mask


def check_segmentation(segmentation: Segmentation, height: int, width: int) -> None:
    """Validate a segmentation without decoding it.

    Raises:
        UserError: A polygon has fewer than three corners, or corners that are not finite or far outside; RLE is of
            another size or damaged; or it is none of these.
    """
    if isinstance(segmentation, np.ndarray):
        if segmentation.shape != (height, width):
            raise UserError(f"a mask of {list(segmentation.shape)} for an image of {[height, width]} pixels")
    elif isinstance(segmentation, Mapping) and {"size", "counts"} <= segmentation.keys():
        size = segmentation["size"]
        if not isinstance(size, Sequence) or list(size) != [height, width]:
            raise UserError(f"RLE of size {size!r:.80} for an image of {[height, width]}")
        covered = sum(_runs(segmentation["counts"]))
        if covered != height * width:
            raise UserError(f"RLE of {covered} pixels for an image of {height * width}")
    elif isinstance(segmentation, list | tuple) and segmentation:
        for polygon in segmentation:
            _check_polygon(polygon, height, width)
    else:
        raise UserError("a segmentation is none of polygons, RLE {size, counts} and array")


def _check_polygon(polygon: object, height: int, width: int) -> None:
    if not isinstance(polygon, list | tuple) or len(polygon) < 6 or len(polygon) % 2:
        raise UserError(
            "a polygon needs three corners or more, x and y of each; leave the object out, or give its box as a "
            "polygon"
        )
    try:
        finite = math.isfinite(sum(polygon))  # NaN and infinity show in the sum
    except (TypeError, OverflowError):
        finite = False
    if not finite:
        raise UserError("a polygon with corners that are not finite numbers; leave the object out")
    most = 2 * max(height, width)
    if min(polygon) < -most or max(polygon) > most:
        raise UserError(
            f"a polygon with a corner at {max(polygon, key=abs):g}, far outside its image of {width} x {height} "
            "pixels; leave the object out"
        )


def _runs(counts: object) -> list[int]:
    """Return run lengths, background and object by turns, from a list or from COCO's compressed string."""
    if isinstance(counts, str | bytes):
        return _uncompressed(counts.encode("ascii", "replace") if isinstance(counts, str) else counts)
    if not isinstance(counts, list | tuple):
        raise UserError(f"RLE counts are a {type(counts).__name__}, neither a list nor a string")
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UserError(f"RLE count {count!r:.40} is no whole number from 0")
    return list(counts)


def _uncompressed(text: bytes) -> list[int]:
    """Return the run lengths of a compressed string: 5 bits a character, differences from the third on."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UserError("compressed RLE is damaged; leave the object out")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise UserError("compressed RLE is damaged; leave the object out")
        runs.append(value)
        value = shift = 0
    if shift:
        raise UserError("compressed RLE is truncated; leave the object out")
    return runs
