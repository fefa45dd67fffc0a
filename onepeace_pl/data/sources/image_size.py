"""Width and height of a picture, from its header alone."""

from __future__ import annotations

import os
from functools import lru_cache

from onepeace_pl.modalities.image.decoding import header_sizes
from onepeace_pl.utils.regular_files import shown_path

Size = tuple[int, int]


def image_size(picture: str | bytes, upright: bool = True) -> Size:
    """Return (width, height) in pixels of a picture; nothing is decoded.

    Args:
        picture: Path or encoded bytes.
        upright: Turned as its EXIF orientation says; False gives the size as stored.

    Raises:
        ValueError: If the file is missing or no picture.
    """
    if isinstance(picture, bytes):
        return header_sizes(picture)[upright]
    try:
        changed = os.stat(picture).st_mtime_ns
    except FileNotFoundError as error:
        raise ValueError(
            f"{shown_path(picture)}: no such picture; check the path and the data set's root"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{shown_path(picture)}: unreadable picture ({shown_path(str(error))}); leave the row out"
        ) from error
    return _of_file(picture, changed)[upright]


@lru_cache(1 << 16)  # many rows are about one picture
def _of_file(path: str, changed: int) -> tuple[Size, Size]:
    return header_sizes(path)
