"""Plots of results by class: confusion matrix, most confused classes, precision-recall curves.

Shapes: H, W pixels; C classes.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from onepeace_pl.callbacks.interfaces import ImageArray
from onepeace_pl.metrics.by_class import ByClass

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MATRIX = 25
"""Classes up to which the whole confusion matrix is drawn; of more, the most confused pairs."""
NUMBERED = 16
"""Classes up to which the cells of the matrix have numbers."""
PAIRS = 20
"""Pairs of classes drawn of more."""
LONGEST = 24  # characters of a name
DPI = 110


def draw_confusions(by_class: ByClass, title: str) -> ImageArray:
    """Return a picture (H, W, 3) of the confusion matrix, or of many classes of the pairs confused most often.

    Args:
        by_class: Results with one class a row.
        title: Title of the picture, such as the name of the set.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    return (
        _matrix(by_class, f"{title}: confusion matrix")
        if len(by_class.classes) <= MATRIX
        else _most_confused(by_class, title)
    )


def draw_precision_recall(by_class: ByClass, title: str) -> ImageArray:
    """Return a picture (H, W, 3) of the precision-recall curves.

    Args:
        by_class: Results with curves.
        title: Title of the picture.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.8), dpi=DPI, layout="constrained")
    axes: Axes = figure.subplots()
    several = len(by_class.curves) > 1
    classes = by_class.curves[1:] if several else by_class.curves
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, max(len(classes), 2)))
    for curve, colour in zip(classes, colours, strict=False):
        label = f"{_short(curve.name)}: AP {curve.average_precision:.3f}"
        axes.plot(curve.recall, curve.precision, label=label, color=colour, linewidth=1.3)
    if several:
        mean = by_class.curves[0]
        label = f"{mean.name}: AP {mean.average_precision:.3f}"
        axes.plot(mean.recall, mean.precision, label=label, color="black", linewidth=2.4)
    prevalence = by_class.curves[0].prevalence
    axes.axhline(prevalence, color="#888888", linestyle=":", label=f"random scores: {prevalence:.3f}")
    occurring = int((by_class.support > 0).sum())
    if several and occurring > len(classes):
        half = len(classes) // 2
        title = f"{title} ({half} best and {len(classes) - half} worst of {occurring} classes)"
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(0, 1.02))
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    return _pixels(figure)


def _matrix(by_class: ByClass, title: str) -> ImageArray:
    from matplotlib.figure import Figure

    counts = by_class.matrix()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names, side = [_short(name) for name in by_class.classes], max(4.2, 1.6 + 0.42 * len(counts))
    figure = Figure(figsize=(side + 1.6, side + 0.6), dpi=DPI, layout="constrained")
    axes: Axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        places, [f"{name} ({count:,})" for name, count in zip(names, by_class.support, strict=True)]
    )
    axes.tick_params(length=0)
    axes.set(xlabel="predicted class", ylabel=f"true class ({by_class.unit})")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    if len(names) <= NUMBERED:
        for row, column in np.argwhere(counts):
            ink = "white" if shares[row, column] > 0.55 else "#222222"
            size = 9 if counts.max() < 1000 else 7
            axes.text(
                column, row, f"{counts[row, column]}", ha="center", va="center", color=ink, fontsize=size
            )
    bar = figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")
    bar.outline.set_visible(False)
    return _pixels(figure)


def _most_confused(by_class: ByClass, title: str) -> ImageArray:
    from matplotlib.figure import Figure

    found = by_class.confusions(PAIRS)
    figure = Figure(figsize=(9, 1.3 + 0.27 * max(len(found), 1)), dpi=DPI, layout="constrained")
    axes: Axes = figure.subplots()
    names = [
        f"{_short(by_class.classes[c.true])} \u2192 {_short(by_class.classes[c.predicted])}" for c in found
    ]
    counts = [c.count for c in found]
    axes.barh(range(len(found)), counts, color="#d6604d", height=0.72)
    for place, confusion in enumerate(found):
        whole = by_class.support[confusion.true]
        said = f" {confusion.count} ({100 * confusion.count / whole:.0f} %)"
        axes.text(confusion.count, place, said, va="center", fontsize=9)
    axes.set_yticks(range(len(found)), names)
    axes.invert_yaxis()
    axes.set(
        xlabel=f"{by_class.unit} (in brackets: share of the true class)", xlim=(0, max([1, *counts]) * 1.18)
    )
    axes.set_title(
        f"{title}: most confused of {len(by_class.classes):,} classes, true \u2192 predicted",
        loc="left",
        fontweight="bold",
        fontsize=11,
    )
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    if not found:
        axes.text(0.5, 0, "no confusions", ha="center", va="center")
    return _pixels(figure)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\u2026"


def _pixels(figure: Figure) -> ImageArray:
    file = BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))
