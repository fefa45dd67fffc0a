"""Contact sheet of scenes: images with boxes, masks, spectrograms and captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.audio import synthesise
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.factors import KINDS
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import World

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_COLUMNS: Final = 8
_IMAGE: Final = 176
_SIDE: Final = 86
_MARGIN: Final = 8
_LINE: Final = 13
_LINES: Final = 6
_WIDTH: Final = _IMAGE + _SIDE + 3 * _MARGIN
_HEIGHT: Final = _IMAGE + 2 * _MARGIN + _LINES * _LINE
_HUES: Final = np.array(
    [
        (230, 90, 90), (240, 150, 60), (235, 215, 80), (120, 200, 90), (80, 200, 180), (80, 160, 235),
        (110, 110, 230), (170, 100, 220), (230, 110, 200), (160, 120, 80), (190, 190, 190), (60, 130, 90),
    ],
    dtype=np.uint8,
)  # fmt: skip


def spectrogram(wave: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a spectrogram (height, width) up to 8 kHz, with a dynamic range of 60 dB."""
    window = 512
    padded = np.pad(wave, (window // 2, window))
    starts = np.linspace(0, wave.size - 1, width).astype(int)
    frames = np.stack([padded[start : start + window] for start in starts]) * np.hanning(window)
    power = np.abs(np.fft.rfft(frames))[:, 1:] ** 2
    bands = power.reshape(width, -1, 2).mean(axis=2).T[::-1]  # 128 bands
    rows = np.linspace(0, len(bands) - 1, height).astype(int)
    level = 10.0 * np.log10(bands[rows] + 1e-6)
    shade: npt.NDArray[np.uint8] = (np.clip((level + 25.0) / 60.0, 0.0, 1.0) * 255.0).astype(np.uint8)
    return shade


def _mask_image(scene: Scene, size: int) -> npt.NDArray[np.uint8]:
    page = np.full((size, size, 3), 40, dtype=np.uint8)
    for thing, mask in zip(scene.objects, regions.instance_masks(scene, size), strict=True):
        page[mask] = _HUES[KINDS.index(thing.kind)]
    return page


def _wrapped(draw: ImageDraw, text: str, font: ImageFont | FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=font) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def draw_sheet(
    path: str | Path,
    split: str = "train",
    scenes: int = 64,
    objects: tuple[int, int] = (1, 3),
    seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Write a contact sheet as one PNG.

    Args:
        path: File to write.
        split: Split of the scenes; those of val and test with held-out combinations are marked as novel.
        scenes: Number of scenes, in as many lines as columns, at most eight columns.
        objects: Least and greatest number of objects of a scene.
        seconds: Duration of audio.
        seed: Seed of scenes and captions.

    Returns:
        The file.
    """
    from PIL import Image, ImageDraw, ImageFont

    world = World(split, scenes, Law(objects, "exclude" if split == "train" else "include"), seed)
    drawn = list(world)
    image_rows, audio_rows = (
        SceneRows(drawn, ("text",), caption, seed=seed) for caption in ("image", "audio")
    )
    columns = min(_COLUMNS, math.isqrt(max(scenes - 1, 0)) + 1)
    rows = -(-scenes // columns)
    page = Image.new("RGB", (columns * _WIDTH + _MARGIN, rows * _HEIGHT + _MARGIN), (250, 249, 246))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=11)
    for number, scene in enumerate(drawn):
        x = number % columns * _WIDTH + _MARGIN
        y = number // columns * _HEIGHT + _MARGIN
        page.paste(Image.fromarray(render(scene, _IMAGE)), (x, y))
        for (x0, y0, x1, y1), thing in zip(regions.boxes(scene, _IMAGE).tolist(), scene.objects, strict=True):
            hue = tuple(int(value) for value in _HUES[KINDS.index(thing.kind)])
            draw.rectangle((x + x0, y + y0, x + x1 - 1, y + y1 - 1), outline=hue)
        side = x + _IMAGE + _MARGIN
        page.paste(Image.fromarray(_mask_image(scene, _SIDE)), (side, y))
        audio = spectrogram(synthesise(scene, seconds), _SIDE, _SIDE)
        page.paste(Image.fromarray(audio), (side, y + _IMAGE - _SIDE))
        lines: list[tuple[str, tuple[int, int, int]]] = []
        width = _IMAGE + _SIDE + _MARGIN
        sentences: Sequence[tuple[str, tuple[int, int, int]]] = (
            (image_rows.text(number) + (" [novel]" if scene.novel else ""), (30, 30, 30)),
            (audio_rows.text(number), (30, 80, 160)),
        )
        for sentence, ink in sentences:
            lines.extend((line, ink) for line in _wrapped(draw, sentence, font, width)[: _LINES // 2])
        for position, (line, ink) in enumerate(lines):
            draw.text((x, y + _IMAGE + 3 + position * _LINE), line, fill=ink, font=font)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.save(target)
    return target
