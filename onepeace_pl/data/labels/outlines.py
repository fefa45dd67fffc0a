"""Outlines of objects: polygons, COCO's run lengths or arrays -> pixels. Shapes: H and W of the picture.

pycocotools trusts what it is given: a polygon with NaN, or with corners far outside, ends the process. So all of an
outline is looked at first, and run lengths are drawn without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.utils.libraries import importing

_LONGEST: Final = 1 << 22
"""Pixels around an outline; pycocotools keeps several points for each."""


def draw(outline: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels (H, W) of an outline: polygons [x, y, x, y, ...], COCO's run lengths, or an array (H, W).

    Raises:
        ValueError: As `check_outline`.
    """
    check_outline(outline, height, width)
    if isinstance(outline, np.ndarray):
        return outline.astype(np.bool_)
    if isinstance(outline, Mapping):
        runs = _runs(outline["counts"])
        inside = np.arange(len(runs)) % 2 == 1
        return np.repeat(inside, runs).reshape(width, height).T
    with importing():
        from pycocotools import mask as coco

    polygons = [list(map(float, polygon)) for polygon in outline]
    around = sum(np.abs(np.diff(np.reshape(p, (-1, 2)), axis=0)).max(1).sum() for p in polygons)
    if around > _LONGEST:
        raise ValueError(f"an outline that is {around:.0f} pixels long; leave the object out")
    parts = coco.decode(coco.frPyObjects(polygons, height, width))
    return parts.any(-1)  # type: ignore[no-any-return]


def check_outline(outline: Any, height: int, width: int) -> None:
    """Look at an outline without drawing it.

    Raises:
        ValueError: A polygon has fewer than three corners, or corners that are no numbers or far outside; run lengths
            are for another size; or it is none of these.
    """
    if isinstance(outline, np.ndarray):
        if outline.shape != (height, width):
            raise ValueError(f"an outline of {list(outline.shape)} for a picture of {[height, width]} pixels")
    elif isinstance(outline, Mapping) and {"size", "counts"} <= outline.keys():
        size = outline["size"]
        if not isinstance(size, Sequence) or list(size) != [height, width]:
            raise ValueError(f"run lengths for {size!r:.80} pixels, and the picture has {[height, width]}")
        covered = sum(_runs(outline["counts"]))
        if covered != height * width:
            raise ValueError(f"run lengths of {covered} pixels for a picture of {height * width}")
    elif isinstance(outline, list | tuple) and outline:
        for polygon in outline:
            _check_polygon(polygon, height, width)
    else:
        raise ValueError("an outline is none of polygons, run lengths {size, counts} and array")


def _check_polygon(polygon: Any, height: int, width: int) -> None:
    if not isinstance(polygon, list | tuple) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(
            "a polygon needs three corners or more, x and y of each; leave the object out, or give its box as a "
            "polygon"
        )
    try:
        finite = math.isfinite(sum(polygon))  # NaN and infinity show in the sum
    except (TypeError, OverflowError):
        finite = False
    if not finite:
        raise ValueError("a polygon with corners that are not finite numbers; leave the object out")
    most = 2 * max(height, width)
    if min(polygon) < -most or max(polygon) > most:
        raise ValueError(
            f"a polygon with a corner at {max(polygon, key=abs):g}, far outside its picture of {width} x {height} "
            "pixels; leave the object out"
        )


def _runs(counts: Any) -> list[int]:
    """Return lengths of runs, outside and inside by turns: from a list of them, or from COCO's packed text."""
    if isinstance(counts, str | bytes):
        return _unpacked(counts.encode("ascii", "replace") if isinstance(counts, str) else counts)
    if not isinstance(counts, list | tuple):
        raise ValueError(f"counts of run lengths are a {type(counts).__name__}, neither a list nor a text")
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise ValueError(f"run length {count!r:.40} is no whole number from 0")
    return list(counts)


def _unpacked(text: bytes) -> list[int]:
    """Return the lengths in a packed text: 5 bits a character, lowest first, from the third on as differences."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("packed run lengths are damaged; leave the object out")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise ValueError("packed run lengths are damaged; leave the object out")
        runs.append(value)
        value = shift = 0
    if shift:
        raise ValueError("packed run lengths end in the middle of one; leave the object out")
    return runs
