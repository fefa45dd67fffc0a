"""Picture of examples: the worst errors, and samples of wrong and right predictions, with what is true.

Shapes: H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from onepeace_pl.callbacks.interfaces import ImageArray
from onepeace_pl.data.source import Source
from onepeace_pl.results.examples import Example, Examples

COLUMNS, SIZE = 4, 224  # pixels
FRAME, GAP, HEADING = 4, 12, 34  # pixels
RIGHT, WRONG, UNKNOWN = (26, 152, 80), (215, 48, 39), (120, 120, 120)
LABEL, LONGEST_ID = 18, 28  # height in pixels, characters
GREY, INK, PAPER = (110, 110, 110), (20, 20, 20), (255, 255, 255)


def draw_examples(examples: Examples, rows: Source, title: str) -> ImageArray:
    """Return a picture (H, W, 3) of the examples, framed in green where right and in red where wrong.

    Args:
        examples: The examples.
        rows: The raw rows of their set.
        title: Title of the picture.
    """
    judged = any(example.right is not None for example in (*examples.worst, *examples.right))
    sections = {
        "Worst errors": examples.worst,
        "Other wrong predictions, a sample": examples.wrong,
        "Right predictions, a sample" if judged else "Others, a sample": examples.right,
    }
    parts = [_heading(title, 19)]
    for heading, few in sections.items():
        if few:
            parts += [_heading(heading, 16), *_tiles(examples, few, rows)]
    width = max(part.width for part in parts)
    canvas = Image.new("RGB", (width, sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    return np.asarray(canvas)


def _tiles(examples: Examples, few: Sequence[Example], rows: Source) -> list[Image.Image]:
    """Return rows of tiles."""
    tiles = [_tile(examples, example, rows) for example in few]
    lines = []
    for start in range(0, len(tiles), COLUMNS):
        line = tiles[start : start + COLUMNS]
        height = max(tile.height for tile in line) + GAP
        canvas = Image.new("RGB", (COLUMNS * (SIZE + 2 * FRAME + GAP) + GAP, height), PAPER)
        for number, tile in enumerate(line):
            canvas.paste(tile, (GAP + number * (SIZE + 2 * FRAME + GAP), 0))
        lines.append(canvas)
    return lines


def _tile(examples: Examples, example: Example, rows: Source) -> Image.Image:
    row = rows[example.index]
    result = examples.result_type.from_prediction(row.id, row.fields, example.prediction, examples.classes)
    drawn = result.plot(example.truth, SIZE)
    colour = {True: RIGHT, False: WRONG, None: UNKNOWN}[example.right]
    framed = Image.new("RGB", (SIZE + 2 * FRAME, drawn.height + LABEL + 2 * FRAME), colour)
    framed.paste(PAPER, (FRAME, FRAME, framed.width - FRAME, framed.height - FRAME))
    framed.paste(drawn, (FRAME, FRAME))
    id = row.id if len(row.id) <= LONGEST_ID else f"...{row.id[-LONGEST_ID:]}"
    place = (FRAME + 6, FRAME + drawn.height)
    ImageDraw.Draw(framed).text(place, f"row {id}", GREY, ImageFont.load_default(11))
    return framed


def _heading(text: str, size: int) -> Image.Image:
    canvas = Image.new("RGB", (COLUMNS * (SIZE + 2 * FRAME + GAP) + GAP, HEADING), PAPER)
    ImageDraw.Draw(canvas).text((GAP, HEADING - size - 8), text, INK, ImageFont.load_default(size))
    return canvas
