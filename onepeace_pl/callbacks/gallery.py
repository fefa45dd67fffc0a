"""Plot of retrieval results: queries with their top results, correct ones framed.

Shapes: H, W pixels; N audio samples.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.metrics import DirectionResult, RetrievalResult
from onepeace_pl.metrics.composed import SUM
from onepeace_pl.metrics.result import JOINT
from onepeace_pl.modalities.audio.decoding import open_audio
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.results.spectrogram import spectrogram
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onepeace_pl.data.source import Source

RIGHT, WRONG, QUERY = "#1a9850", "#c8c8c8", "#333333"
AUDIO_ENDINGS = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus"})
IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
CELL, GAP, HEADING, MARGIN = 1.0, 0.08, 0.42, 0.25  # inches


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
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

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
    height = sum(heights) + MARGIN
    figure = Figure(figsize=(width, height), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    # One set of axes in inches from the upper left: a hundred of them would take many seconds.
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    top = MARGIN / 2
    for (name, source, band), step in zip(bands, heights, strict=True):
        left = MARGIN
        for direction in band:
            _draw_direction(axes, name, direction, source, left, top, queries, answers)
            left += _block_width(direction, answers)
        top += step
    with replacing(path) as new:
        figure.savefig(new)


def _block_width(direction: DirectionResult, answers: int) -> float:
    cells: int = len(direction.query) + min(answers, direction.top.shape[1]) * len(direction.target)
    return cells * (CELL + GAP) + 2 * MARGIN


def _draw_direction(
    axes: Axes,
    gallery: str,
    direction: DirectionResult,
    rows: Source,
    left: float,
    top: float,
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
    axes.text(left, top + 0.16, heading, fontsize=10, fontweight="bold", va="center")
    axes.text(left, top + 0.33, "   ".join(numbers), fontsize=7, color="#555555", va="center")
    count = len(direction.queries)
    shown = np.unique(np.linspace(0, count - 1, min(queries, count)).astype(int))
    for line, q in enumerate(shown):
        y, x = top + HEADING + line * (CELL + GAP), left
        row = rows[int(direction.queries[q])]
        for modality in direction.query:
            _draw_item(axes, row.fields[modality], x, y)
            _frame(axes, x, y, QUERY, 1.2)
            x += CELL + GAP
        label = f"rank {direction.ranks[q]}"
        axes.text(x - GAP - 0.03, y + 0.03, label, fontsize=6, ha="right", va="top", bbox=_LABEL)
        x += MARGIN / 2
        for place in range(min(answers, direction.top.shape[1])):
            row = rows[int(direction.top[q, place])]
            right = bool(direction.right[q, place])
            for modality in direction.target:
                _draw_item(axes, row.fields[modality], x, y)
                _frame(axes, x, y, RIGHT if right else WRONG, 2.5 if right else 0.6)
                x += CELL + GAP


_LABEL = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}


def _frame(axes: Axes, x: float, y: float, colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), CELL, CELL, fill=False, edgecolor=colour, linewidth=width, zorder=3))


def _draw_item(axes: Axes, raw: Any, x: float, y: float) -> None:
    """Draw one raw value into the cell whose upper left corner is (x, y)."""
    raw = _loaded(raw)
    extent = (x, x + CELL, y + CELL, y)
    if isinstance(raw, tuple):
        samples, rate = raw
        axes.imshow(
            spectrogram(samples, rate), extent=extent, aspect="auto", cmap="magma", origin="upper", zorder=1
        )
    elif isinstance(raw, str):
        words = textwrap.wrap(raw, 20)
        text = "\n".join(words if len(words) <= 8 else [*words[:7], "..."])
        axes.text(
            x + CELL / 2, y + CELL / 2, text, fontsize=6.5, ha="center", va="center", clip_on=True, zorder=2
        )
    else:
        array = np.asarray(raw)
        if array.dtype == np.uint8:
            axes.imshow(array, extent=extent, aspect="auto", cmap="gray", zorder=1)
        else:
            _draw_lines(axes, array.reshape(-1, array.shape[-1]), x, y)


def _draw_lines(axes: Axes, channels: NDArray[Any], x: float, y: float) -> None:
    spread = float(np.abs(channels).max()) or 1.0
    along = np.linspace(x + 0.03, x + CELL - 0.03, channels.shape[1])
    for number, channel in enumerate(channels):
        middle = y + CELL * (number + 0.5) / len(channels)
        axes.plot(along, middle - channel / spread * CELL / len(channels) / 2, linewidth=0.5, zorder=2)


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
