"""Usual column names of tables: image paths, captions, labels, boxes, answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Final

from onepeace_pl.data.sources.folder import ENDINGS

USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("image", "image_path", "img", "img_path", "picture", "photo"),
    "audio": ("audio", "audio_path", "sound", "clip", "recording"),
    "text": ("text", "caption", "sentence", "description", "question", "phrase", "expression", "utterance"),
    "class": ("class", "label", "category", "target", "class_name"),
    "classes": ("classes", "labels", "tags", "categories"),
    "box": ("box", "bbox_xyxy", "bbox", "xyxy"),
    "answers": ("answers", "answer"),
    "answer": ("answer", "right", "correct"),
    "choices": ("choices", "options"),
}
"""Field or label to the names that its column usually has, the likeliest first."""

FILE: Final = ("path", "file", "file_name", "filename", "filepath", "file_path", "name")
"""Names of columns of files whose modality their endings tell."""

CORNERS: Final = (("x0", "y0", "x1", "y1"), ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"))
"""Names of the four columns of a box."""


def usual_column(name: str, header: Iterable[str]) -> str | None:
    """Return the column of a field or a label by its usual names, whatever their case; None where there is none.

    Args:
        name: Field or label; of a modality that has no usual names, the column must have its name.
        header: The columns.
    """
    found = {column.strip().lower(): column for column in header}
    return next((found[each] for each in USUAL.get(name, (name,)) if each in found), None)


def file_column(modality: str, row: Mapping[str, object]) -> str | None:
    """Return the column of files of a modality, such as ``file_name``; None where there is none.

    Args:
        modality: The modality, which the ending of the file must be of.
        row: Column to value of one row.
    """
    for column, value in row.items():
        ending = PurePath(value).suffix.lower() if isinstance(value, str) else ""
        if column.strip().lower() in FILE and ENDINGS.get(ending) == modality:
            return column
    return None


def media_column(modality: str, row: Mapping[str, object]) -> str | None:
    """Return the column of a modality by its usual name, or by the endings of its files."""
    return usual_column(modality, row) or (None if modality == "text" else file_column(modality, row))


def corner_columns(header: Sequence[str]) -> list[str] | None:
    """Return the four columns of a box; None where there are none."""
    found = {column.strip().lower(): column for column in header}
    return next(([found[n] for n in names] for names in CORNERS if all(n in found for n in names)), None)
