"""Pictures on one sheet. Shapes: H and W height and width of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onepeace_pl.utils.files import replacing

Picture = NDArray[np.uint8]
GAP, COLUMNS, SMALLEST = 6, 2, 160  # pixels, pictures, pixels


def write_sheet(pictures: Mapping[str, Sequence[Picture]], path: Path) -> None:
    """Write pictures (H, W, 3) as one PNG, those of each name below each other."""
    sheets = [sheet_of(few) for few in pictures.values() if few]
    with replacing(path) as new:
        Image.fromarray(_below(sheets)).save(new)


def sheet_of(pictures: Sequence[Picture]) -> Picture:
    """Put pictures (H, W, 3) beside and below each other; small ones are enlarged, pixel by pixel."""
    large = [_enlarged(picture) for picture in pictures]
    rows = [_beside(large[start : start + COLUMNS]) for start in range(0, len(large), COLUMNS)]
    return _below(rows)


def _enlarged(picture: Picture) -> Picture:
    times = max(1, SMALLEST // picture.shape[0])
    return picture.repeat(times, 0).repeat(times, 1)


def _beside(pictures: Sequence[Picture]) -> Picture:
    return _below([picture.transpose(1, 0, 2) for picture in pictures]).transpose(1, 0, 2)


def _below(pictures: Sequence[Picture]) -> Picture:
    width = max(picture.shape[1] for picture in pictures)
    height = sum(picture.shape[0] for picture in pictures) + GAP * (len(pictures) - 1)
    sheet: Any = np.full((height, width, 3), 255, dtype=np.uint8)
    top = 0
    for picture in pictures:
        sheet[top : top + picture.shape[0], : picture.shape[1]] = picture
        top += picture.shape[0] + GAP
    return sheet  # type: ignore[no-any-return]
