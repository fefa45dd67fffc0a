"""Width and height of a picture, from its header alone."""

from __future__ import annotations

import io
import os
from functools import lru_cache

from PIL import Image, UnidentifiedImageError


def picture_size(picture: str | bytes) -> tuple[int, int]:
    """Return (width, height) in pixels of a picture as stored; nothing is decoded.

    Raises:
        ValueError: If the file is missing or no picture.
    """
    if isinstance(picture, bytes):
        return _read(io.BytesIO(picture), f"a picture of {len(picture)} bytes")
    try:
        return _of_file(picture, os.stat(picture).st_mtime_ns)
    except FileNotFoundError as error:
        raise ValueError(f"{picture}: no such picture; check the path and the data set's root") from error


@lru_cache(1 << 16)  # many rows are about one picture
def _of_file(path: str, changed: int) -> tuple[int, int]:
    return _read(path, path)


def _read(file: str | io.BytesIO, name: str) -> tuple[int, int]:
    try:
        with Image.open(file) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{name}: unreadable picture; replace the file or leave the row out") from error
