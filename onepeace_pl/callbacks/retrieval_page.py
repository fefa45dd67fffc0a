"""Retrieval part of a report: tables and the picture of queries with their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onepeace_pl.callbacks.gallery import draw_gallery
from onepeace_pl.callbacks.page import overview, retrieval_section
from onepeace_pl.data.source import Source
from onepeace_pl.metrics import RetrievalResult


def retrieval_parts(
    results: Mapping[str, RetrievalResult],
    rows: Mapping[str, Source],
    gallery: Path,
    queries: int = 4,
    answers: int = 5,
) -> list[str]:
    """Return the paragraphs on retrieval, and draw their picture.

    Args:
        results: Results by gallery.
        rows: Raw rows by gallery; without any there is no picture.
        gallery: File of the picture, beside the report.
        queries: Queries shown of each direction.
        answers: Results shown of each query.
    """
    parts = ["## Retrieval\n", overview(results.values())]
    parts += [retrieval_section(result) for result in results.values()]
    if rows.keys() & results.keys():
        parts.append(
            f"Evenly spaced queries with their top {answers} results, correct ones framed in green:\n"
        )
        draw = lambda: draw_gallery(results, rows, gallery, queries, answers)  # noqa: E731
        parts.append(picture(gallery, "queries and answers", draw))
    return parts


def picture(path: Path, title: str, draw: Callable[[], None]) -> str:
    """Draw a picture and return its link; without matplotlib a note."""
    try:
        draw()
    except ImportError:
        return f"(no plot of {title}: matplotlib is not installed)\n"
    return f"![{title}]({path.name})\n"
