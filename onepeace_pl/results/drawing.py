"""Pictures of inputs with lines of text and bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from onepeace_pl.data.source import values_of
from onepeace_pl.modalities.audio.decoding import open_audio
from onepeace_pl.modalities.base import RawValue, modality_of
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.results.spectrogram import coloured, spectrogram

LEAST_WIDTH = 320
LONGEST_TEXT = 200
MOST_IMAGES = 4  # of one input, such as the frames of a clip
LINE, MARGIN, FONT = 18, 6, 13  # pixels
INK, BAR, PAPER = (20, 20, 20), (150, 190, 235), (255, 255, 255)
TRUE = (120, 200, 130)
"""Colour of what is true: bars of true classes, true boxes."""
RED = (230, 30, 30)


@dataclass(frozen=True)
class Line:
    """A line below a picture.

    Attributes:
        text: Its text; a long one is wrapped.
        share: A number in 0..1 that is written behind the text and drawn as a bar behind it; None draws none.
        true: Whether it says what is true, which is coloured.
    """

    text: str
    share: float | None = None
    true: bool = False


def picture_of(inputs: Mapping[str, RawValue], field: str = "image") -> Image.Image | None:
    """Return the image of an input, several side by side at one height; None where it has none."""
    if field not in inputs:
        return None
    images = [open_image(raw) for raw in _few(values_of(inputs[field]))]
    return _beside(images)


def picture_of_all(inputs: Mapping[str, RawValue]) -> Image.Image | None:
    """Return images, and spectrograms of sounds, side by side; None where there are neither."""
    pictures: list[Image.Image] = []
    for field in inputs:
        modality = modality_of(field)
        if modality == "image" and (picture := picture_of(inputs, field)) is not None:
            pictures.append(picture)
        elif modality == "audio":
            for raw in _few(values_of(inputs[field])):
                _, samples, rate = open_audio(raw, 16_000)
                pixels = coloured(spectrogram(samples.numpy(), rate))
                pictures.append(Image.fromarray(pixels).resize((256, 160)))
    return _beside(pictures) if pictures else None


def texts_of(inputs: Mapping[str, RawValue]) -> list[Line]:
    """Return the texts of an input in quotation marks."""
    texts = [text for field in inputs if modality_of(field) == "text" for text in values_of(inputs[field])]
    return [Line(f'"{_cut(text)}"') for text in texts if isinstance(text, str)]


def captioned(picture: Image.Image | None, lines: Sequence[Line], size: int | None = None) -> Image.Image:
    """Draw lines of text below a picture.

    Args:
        picture: The picture; None draws the lines alone.
        lines: The lines.
        size: Width of the result, and greatest height of the picture, which is scaled. None keeps the size of the
            picture, but enlarges a narrow one.
    """
    picture = picture or Image.new("RGB", (size or LEAST_WIDTH, 1), PAPER)
    if size is None:
        times = -(-LEAST_WIDTH // picture.width)
        picture = scaled(picture, times) if times > 1 else picture
    else:
        small = scaled(picture, min(size / picture.width, size / picture.height))
        picture = Image.new("RGB", (size, small.height), PAPER)
        picture.paste(small, ((size - small.width) // 2, 0))
    font = ImageFont.load_default(FONT)
    drawn = [(line, list(_wrapped(_text(line), picture.width - 2 * MARGIN, font))) for line in lines]
    height = LINE * sum(len(parts) for _, parts in drawn)
    canvas = Image.new("RGB", (picture.width, picture.height + height + MARGIN), PAPER)
    canvas.paste(picture, (0, 0))
    draw, top = ImageDraw.Draw(canvas), picture.height + MARGIN // 2
    for line, parts in drawn:
        if line.share is not None:
            end = round(min(max(line.share, 0.0), 1.0) * (canvas.width - 1))
            draw.rectangle((0, top, end, top + LINE * len(parts) - 3), TRUE if line.true else BAR)
        elif line.true:
            draw.rectangle((0, top + 1, 3, top + LINE * len(parts) - 4), TRUE)
        for part in parts:
            draw.text((MARGIN, top), part, INK, font)
            top += LINE
    return canvas


def fitted(picture: Image.Image, size: int | None) -> Image.Image:
    """Return a picture scaled to a width in pixels; None keeps it."""
    return picture if size is None else scaled(picture, size / picture.width)


def _text(line: Line) -> str:
    return line.text if line.share is None else f"{line.text}  {line.share:.3f}"


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Iterator[str]:
    """Yield the lines of a text; a word that is too long is broken."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        while font.getlength(word) > width and len(word) > 1:
            kept = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
            yield word[:kept]
            word = word[kept:]
        line = word
    yield line


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _few(values: Sequence[RawValue]) -> list[RawValue]:
    """Return evenly spaced values."""
    if len(values) <= MOST_IMAGES:
        return list(values)
    return [values[number] for number in np.linspace(0, len(values) - 1, MOST_IMAGES).astype(int)]


def _beside(pictures: Sequence[Image.Image]) -> Image.Image:
    height = max(picture.height for picture in pictures)
    scaled = [
        each if each.height == height else each.resize((max(1, each.width * height // each.height), height))
        for each in pictures
    ]
    return Image.fromarray(np.concatenate([np.asarray(each) for each in scaled], axis=1))


def scaled(picture: Image.Image, times: float) -> Image.Image:
    """Return a picture enlarged or made smaller; pixels of a small one stay squares."""
    size = max(1, round(picture.width * times)), max(1, round(picture.height * times))
    return picture.resize(size, Image.Resampling.NEAREST if times >= 2 else Image.Resampling.LANCZOS)
