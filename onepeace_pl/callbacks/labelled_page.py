"""Part of a report on labelled rows: metrics beside chance and optimum, results by class, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from onepeace_pl.callbacks.class_plots import draw_confusions, draw_precision_recall
from onepeace_pl.callbacks.example_sheet import draw_examples
from onepeace_pl.callbacks.interfaces import ImageArray
from onepeace_pl.callbacks.page import class_table, confusions_table, groups_table, labelled_table
from onepeace_pl.data.source import Source
from onepeace_pl.metrics import LabelledResult
from onepeace_pl.utils.files import replacing

CLASSES = 30
"""Classes in a table of the report; of more those with the lowest scores."""

Draw = Callable[[], ImageArray]


def pictures_of(result: LabelledResult, rows: Source | None) -> dict[str, Draw]:
    """Return functions that draw the pictures of a result, by title.

    Args:
        result: Result of a set.
        rows: Its raw rows; without them there are no examples.
    """
    pictures: dict[str, Draw] = {}
    by_class, examples = result.by_class, result.examples
    if by_class is not None and by_class.pairs is not None:
        pictures["confusion"] = partial(draw_confusions, by_class, result.name)
    if by_class is not None and by_class.curves:
        title = f"{result.name}: precision-recall curves"
        pictures["precision-recall"] = partial(draw_precision_recall, by_class, title)
    if rows is not None and examples is not None and (examples.worst or examples.right):
        pictures["examples"] = partial(
            draw_examples, examples, rows, f"{result.name}: predictions; green is true"
        )
    return pictures


def labelled_parts(
    results: Sequence[LabelledResult], rows: Mapping[str, Source], folder: Path, suffix: str = ""
) -> list[str]:
    """Return the paragraphs on labelled rows, and draw their pictures.

    Args:
        results: Results by set.
        rows: Raw rows by set, for examples.
        folder: Folder of the report and its pictures.
        suffix: End of the names of its files, such as ``-test``.
    """
    parts = ["## Results\n", labelled_table(results), groups_table(results)]
    if any(_has_intervals(result) for result in results):
        parts.append("In brackets: 95 % bootstrap intervals over rows.\n")
    for result in results:
        pictures = pictures_of(result, rows.get(result.name))
        if result.by_class is None and not pictures:
            continue
        parts.append(f"### {result.name}\n")
        if result.by_class is not None:
            parts += [class_table(result.by_class, CLASSES), confusions_table(result.by_class)]
        for title, draw in pictures.items():
            path = folder / f"{title}-{result.name.replace('/', '-')}{suffix}.png"
            parts.append(saved_picture(path, f"{result.name}: {title}", draw))
    return parts


def _has_intervals(result: LabelledResult) -> bool:
    """Whether any number of a result has an interval."""
    metrics = {} if result.by_class is None else result.by_class.metrics
    return bool(result.intervals) or any(metric.low is not None for metric in metrics.values())


def saved_picture(path: Path, title: str, draw: Draw) -> str:
    """Draw a picture into a file and return its link; without matplotlib a note."""
    try:
        pixels = draw()
    except ImportError:
        return f"(no plot of {title}: matplotlib is not installed)\n"
    with replacing(path) as new:
        Image.fromarray(pixels).save(new)
    return f"![{title}]({path.name})\n"
