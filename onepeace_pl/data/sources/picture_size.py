"""Width and height of a picture, from its header alone."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError


def picture_size(picture: str | bytes) -> tuple[int, int]:
    """Return (width, height) in pixels of a picture as stored; nothing is decoded.

    Raises:
        ValueError: If the file is missing or no picture.
    """
    name = picture if isinstance(picture, str) else f"a picture of {len(picture)} bytes"
    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return image.size
    except FileNotFoundError as error:
        raise ValueError(f"{name}: no such picture; check the path and the data set's root") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{name}: unreadable picture; replace the file or leave the row out") from error
