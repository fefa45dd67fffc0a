"""Plot of retrieval results: queries with their top results, correct ones framed.

Shapes: H, W pixels; C channels and N samples of an array.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from onepeace_pl.metrics import DirectionResult, RetrievalResult
from onepeace_pl.metrics.composed import SUM
from onepeace_pl.metrics.result import JOINT
from onepeace_pl.modalities.audio.decoding import open_audio
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.results.spectrogram import coloured, spectrogram
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from onepeace_pl.data.source import Source

RIGHT, WRONG, QUERY, INK, GREY, LINES = "#1a9850", "#c8c8c8", "#333333", "black", "#555555", "#1f77b4"
AUDIO_ENDINGS = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus"})
IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
CELL, GAP, HEADING, MARGIN = 110, 10, 46, 28  # pixels
SMOOTH = 4  # lines are drawn this many times as large


def draw_gallery(
    results: Mapping[str, RetrievalResult],
    rows: Mapping[str, Source],
    path: Path,
    queries: int = 4,
    answers: int = 5,
) -> None:
    """Write queries and their leading answers as a PNG, galleries below each other, directions side by side.

    Queries are evenly spaced in the gallery. An item is drawn by the type of its raw value: an image, a spectrogram,
    curves of an array, or text.

    Args:
        results: Results by gallery.
        rows: Raw rows by gallery.
        path: Output file.
        queries: Queries shown of each direction.
        answers: Answers shown of each query.

    Raises:
        ImportError: If matplotlib, whose font is used, is not installed.
    """
    bands = [
        (name, rows[name], list(result.directions.values()))
        for name, result in results.items()
        if name in rows
    ]
    if not bands:
        return
    width = max(sum(_block_width(d, answers) for d in band) for _, _, band in bands) + MARGIN
    heights = [
        HEADING + max(min(queries, len(d.queries)) for d in band) * (CELL + GAP) for _, _, band in bands
    ]
    canvas = _Canvas.white(width, sum(heights) + MARGIN)
    top = MARGIN // 2
    for (name, source, band), step in zip(bands, heights, strict=True):
        left = MARGIN
        for direction in band:
            _draw_direction(canvas, name, direction, source, left, top, queries, answers)
            left += _block_width(direction, answers)
        top += step
    with replacing(path) as new:
        canvas.image.save(new, format="PNG")


def _block_width(direction: DirectionResult, answers: int) -> int:
    cells: int = len(direction.query) + min(answers, direction.top.shape[1]) * len(direction.target)
    return cells * (CELL + GAP) + 2 * MARGIN


def _draw_direction(
    canvas: _Canvas,
    gallery: str,
    direction: DirectionResult,
    rows: Source,
    left: int,
    top: int,
    queries: int,
    answers: int,
) -> None:
    k = min(direction.recall)
    numbers = [gallery, f"R@{k} {direction.recall[k]:.2f}", f"chance {direction.chance[k]:.3f}"]
    if direction.composed is not None:
        vectors = direction.composed.vectors
        numbers[1:2] = [f"R@{k}: {name} {vectors[name].recall[k].value:.2f}" for name in (JOINT, SUM)]
    if k in direction.optimum:
        numbers.append(f"optimum {direction.optimum[k]:.2f}")
    heading = direction.name.replace("->", " \u2192 ")
    canvas.draw.text((left, top + 18), heading, INK, _font(15, bold=True), anchor="lm")
    canvas.draw.text((left, top + 36), "   ".join(numbers), GREY, _font(11), anchor="lm")
    count = len(direction.queries)
    shown = np.unique(np.linspace(0, count - 1, min(queries, count)).astype(int))
    for line, q in enumerate(shown):
        y, x = top + HEADING + line * (CELL + GAP), left
        row = rows[int(direction.queries[q])]
        for modality in direction.query:
            canvas.item(row.fields[modality], x, y)
            canvas.frame(x, y, QUERY, 2)
            x += CELL + GAP
        canvas.label(f"rank {direction.ranks[q]}", x - GAP - 3, y + 3)
        x += MARGIN // 2
        for place in range(min(answers, direction.top.shape[1])):
            row = rows[int(direction.top[q, place])]
            right = bool(direction.right[q, place])
            for modality in direction.target:
                canvas.item(row.fields[modality], x, y)
                canvas.frame(x, y, RIGHT if right else WRONG, 4 if right else 1)
                x += CELL + GAP


@dataclass(frozen=True)
class _Canvas:
    """An image that is drawn on; places are pixels from the upper left."""

    image: Image.Image
    draw: ImageDraw.ImageDraw

    @classmethod
    def white(cls, width: int, height: int) -> Self:
        image = Image.new("RGB", (width, height), "white")
        return cls(image, ImageDraw.Draw(image))

    def frame(self, x: int, y: int, colour: str, width: int) -> None:
        self.draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline=colour, width=width)

    def label(self, text: str, right: int, top: int) -> None:
        """Write on a white ground, up to a right edge."""
        box = self.draw.textbbox((right, top), text, _font(9), anchor="ra")
        self.draw.rectangle((box[0] - 2, box[1] - 2, box[2] + 1, box[3] + 1), fill="white")
        self.draw.text((right, top), text, INK, _font(9), anchor="ra")

    def item(self, raw: Any, x: int, y: int) -> None:
        """Draw one raw value into the cell whose upper left corner is (x, y)."""
        raw = _loaded(raw)
        if isinstance(raw, str):
            words = textwrap.wrap(raw, 20)
            text = "\n".join(words if len(words) <= 8 else [*words[:7], "..."])
            cell = _Canvas.white(CELL, CELL)  # which cuts what is too wide
            cell.draw.text((CELL // 2, CELL // 2), text, INK, _font(9), anchor="mm", align="center")
            self.image.paste(cell.image, (x, y))
            return
        if isinstance(raw, tuple):
            samples, rate = raw
            picture = Image.fromarray(coloured(spectrogram(samples, rate)))
        else:
            array = np.asarray(raw)
            if array.dtype == np.uint8:
                picture = Image.fromarray(array).convert("RGB")
            else:
                picture = _lines(array.reshape(-1, array.shape[-1]))
        self.image.paste(picture.resize((CELL, CELL)), (x, y))


def _lines(channels: NDArray[Any]) -> Image.Image:
    """Draw the channels (C, N) of an array below each other."""
    size = CELL * SMOOTH
    canvas = _Canvas.white(size, size)
    spread = float(np.abs(channels).max()) or 1.0
    along = np.linspace(0.03 * size, 0.97 * size, channels.shape[1])
    for number, channel in enumerate(channels):
        middle = size * (number + 0.5) / len(channels)
        heights = middle - channel / spread * size / len(channels) / 2
        canvas.draw.line(list(zip(along.tolist(), heights.tolist(), strict=True)), LINES, width=SMOOTH)
    return canvas.image


@lru_cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return matplotlib's font in pixels: it has more scripts than Pillow's own."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _loaded(raw: Any) -> Any:
    """Read what is named by a path or encoded in bytes; leave the rest."""
    if isinstance(raw, bytes):
        return np.asarray(open_image(raw))
    if not isinstance(raw, (str, Path)):
        return raw
    suffix = Path(raw).suffix.lower()
    if suffix in AUDIO_ENDINGS:
        _, samples, rate = open_audio(raw, 16_000)
        return samples.numpy(), rate
    return np.asarray(open_image(raw)) if suffix in IMAGE_ENDINGS else str(raw)
