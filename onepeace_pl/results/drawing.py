"""Pictures of inputs with lines of text and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from onepeace_pl.data.source import values_of
from onepeace_pl.modalities.base import RawValue
from onepeace_pl.modalities.image.decoding import open_image

LEAST_WIDTH = 320
LONGEST_TEXT = 200
LINE, MARGIN, FONT = 18, 6, 13  # pixels
INK, BAR, PAPER = (20, 20, 20), (150, 190, 235), (255, 255, 255)


def picture_of(inputs: Mapping[str, RawValue], field: str = "image") -> Image.Image | None:
    """Return the image of an input, several side by side at one height; None where it has none."""
    if field not in inputs:
        return None
    images = [open_image(raw) for raw in values_of(inputs[field])]
    height = max(image.height for image in images)
    scaled = [
        image if image.height == height else image.resize((image.width * height // image.height, height))
        for image in images
    ]
    return Image.fromarray(np.concatenate([np.asarray(image) for image in scaled], axis=1))


def shown(inputs: Mapping[str, RawValue]) -> Image.Image:
    """Return the image of an input, and its texts below it."""
    texts = [
        f'"{text[:LONGEST_TEXT]}"' for text in values_of(inputs.get("text", ())) if isinstance(text, str)
    ]
    return captioned(picture_of(inputs), texts) if texts else picture_of(inputs) or _blank()


def captioned(
    picture: Image.Image | None, lines: Sequence[str], shares: Sequence[float] | None = None
) -> Image.Image:
    """Draw lines of text below a picture, which is enlarged where it is narrow.

    Args:
        picture: The picture; None draws the lines alone.
        lines: The lines.
        shares: A number in 0..1 for each line, drawn as a bar behind it.
    """
    picture = picture or _blank()
    times = -(-LEAST_WIDTH // picture.width)
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    canvas = Image.new("RGB", (picture.width, picture.height + LINE * len(lines) + MARGIN), PAPER)
    canvas.paste(picture, (0, 0))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT)
    for number, line in enumerate(lines):
        top = picture.height + MARGIN // 2 + LINE * number
        if shares is not None:
            draw.rectangle((0, top, round(shares[number] * (canvas.width - 1)), top + LINE - 3), BAR)
            line = f"{line}  {shares[number]:.3f}"
        draw.text((MARGIN, top), line, INK, font)
    return canvas


def _blank() -> Image.Image:
    return Image.new("RGB", (LEAST_WIDTH, 1), PAPER)
