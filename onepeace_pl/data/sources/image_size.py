"""Image size from the file header, without decoding."""

from __future__ import annotations

import os
from functools import lru_cache

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.decoding import header_sizes
from onepeace_pl.utils.regular_files import shown_path

Size = tuple[int, int]


def read_image_size(image: str | bytes, upright: bool = True) -> Size:
    """Return (width, height) in pixels of an image; nothing is decoded.

    Args:
        image: Path or encoded bytes.
        upright: Whether to apply the EXIF orientation; False gives the size as stored.

    Raises:
        UserError: The file is missing or no image.
    """
    if isinstance(image, bytes):
        return header_sizes(image)[upright]
    try:
        changed = os.stat(image).st_mtime_ns
    except FileNotFoundError as error:
        raise UserError(
            f"{shown_path(image)}: no such image; check the path and the dataset's root"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(
            f"{shown_path(image)}: unreadable image ({shown_path(str(error))}); leave the row out"
        ) from error
    return _of_file(image, changed)[upright]


@lru_cache(1 << 16)  # many rows are about one image
def _of_file(path: str, changed: int) -> tuple[Size, Size]:
    return header_sizes(path)
