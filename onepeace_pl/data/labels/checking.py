"""Are the labels of a row what a task can use? Needs no media, so every row can be looked at before training."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from onepeace_pl.data.batches import Source, labels_of
from onepeace_pl.errors import UserError, nearest

ROUNDING = 1.0
"""Pixels that a box may reach beyond its picture: annotations are rounded."""

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 80


def shown(value: Any) -> str:
    """Return a value for a message; a field of 50 MB, or a deeply nested one, is shortened."""
    try:
        return _shortened.repr(value)
    except ValueError:  # a whole number of more than 4300 digits
        return f"a number of {value.bit_length()} bits"


def whole(text: str) -> int | None:
    """Return the whole number from 0 that a text is; None where it is none of at most 18 digits."""
    text = text.strip()
    return int(text) if len(text) <= 18 and text.isdecimal() else None


def check_label(labels: Mapping[str, Any], classes: Sequence[str] = (), choices: int | None = None) -> None:
    """Look at the labels of one row; what each means stands at :class:`~onepeace_pl.data.batches.Row`.

    Args:
        labels: Labels of the row; those that no task knows are passed over.
        classes: Names of the classes in the order of their numbers; where there are none, names are taken as
            they are.
        choices: Number of choices of the row; None where that is not known.

    Raises:
        ValueError: If a class is unknown, a box is reversed or lies outside its picture, the right answer is
            not among the choices, or a confidence is not in 0..1; names the value and the remedy.
    """
    if "class" in labels:
        check_class(labels["class"], classes, "class")
    if "classes" in labels:
        for value in several(labels["classes"]):
            check_class(value, classes, "class")
    if "box" in labels:
        check_box(labels["box"], labels.get("extent"))
    for number, thing in enumerate(labels.get("objects", ())):
        check_object(number, thing, labels.get("extent"), classes)
    if "answer" in labels:
        check_choice(labels["answer"], labels.get("choices"), choices)
    if "answers" in labels:
        check_answers(labels["answers"], classes)
    if "truth" in labels:
        check_truth(labels["truth"])
    if "topic" in labels and not isinstance(labels["topic"], str):
        raise ValueError(f"topic {shown(labels['topic'])} is no text; give the name of a group")


def checked(
    place: str, labels: dict[str, Any], classes: Sequence[str] = (), choices: int | None = None
) -> dict[str, Any]:
    """Return labels that were looked at; a complaint begins with the place.

    Raises:
        ValueError: As `check_label`.
    """
    try:
        check_label(labels, classes, choices)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    return labels


def bad_labels(source: Source, classes: Sequence[str] = ()) -> Iterator[tuple[int, str]]:
    """Yield number and complaint for each row whose labels no task can use; makes no row where it need not."""
    names = _Names(classes)
    iterator, index = labels_of(source), 0
    while True:
        try:
            check_label(next(iterator), names)
        except StopIteration:
            return
        except ValueError as error:  # the source's own complaint about a row, too
            yield index, str(error)
        index += 1


def several(value: Any) -> Sequence[Any]:
    """Return the classes of a row one by one: a str is cut at its commas."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    if not isinstance(value, Sequence):
        raise ValueError(f"classes {shown(value)} are no sequence; give a list, or a text with commas")
    return value


def check_box(box: Any, extent: Any = None) -> None:
    """Look at a box x0, y0, x1, y1 and the width and height of its picture, all in pixels.

    Raises:
        ValueError: If it has no area, is reversed, lies outside the picture, or is not four numbers.
    """
    if not are_numbers(box, 4):
        raise ValueError(f"box {shown(box)} is not four finite numbers; write x0, y0, x1, y1 in pixels")
    x0, y0, x1, y1 = box
    corners = ", ".join(f"{value:g}" for value in box)
    if x0 >= x1 or y0 >= y1:
        raise ValueError(
            f"box ({corners}) is reversed or empty; write the corners x0, y0, x1, y1 with x0 < x1 and y0 < y1"
        )
    if extent is None:
        return
    if not are_numbers(extent, 2) or min(extent) <= 0:
        raise ValueError(f"extent {shown(extent)} is no width and height; give both in pixels")
    width, height = extent
    if min(x0, y0) < -ROUNDING or x1 > width + ROUNDING or y1 > height + ROUNDING:
        raise ValueError(
            f"box ({corners}) lies outside its picture of {width:g} x {height:g} pixels; "
            "write corners in pixels of that picture"
        )


def check_object(number: int, thing: Mapping[str, Any], extent: Any, classes: Sequence[str] = ()) -> None:
    """Look at class and box of an object of a picture; ``number`` is its own among them.

    Raises:
        ValueError: If one is missing, or as `check_box` and `check_class`.
    """
    for name in ("class", "box"):
        if name not in thing:
            raise ValueError(f"object {number} has no {name!r}; it has {', '.join(thing) or 'nothing'}")
    try:
        check_box(thing["box"], extent)
        check_class(thing["class"], classes)
    except ValueError as error:
        raise ValueError(f"object {number}: {error}") from None


def check_truth(truth: Any) -> bool:
    """Return whether a statement holds, from a bool or its name.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(truth, str | bool | np.bool_) or str(truth).lower() not in ("true", "false"):
        raise ValueError(f"truth {shown(truth)} is neither true nor false; write one of the two")
    return str(truth).lower() == "true"


class _Names(tuple[str, ...]):
    """A tuple that knows at once whether a name is in it."""

    def __init__(self, _: Sequence[str]) -> None:
        self._known = frozenset(self)

    def __contains__(self, name: object) -> bool:
        return name in self._known


def check_class(value: Any, classes: Sequence[str], what: str = "class") -> None:
    """Look at a class, a number or a name; without `classes` any will do.

    Raises:
        ValueError: If there is no such class.
    """
    if isinstance(value, str):
        if not classes or value in classes:
            return
        if not value.isdecimal():
            hint = nearest(value, classes, "add it to `classes`, or leave the row out")
            raise UserError(f"{what} {shown(value)} is none of the {len(classes)}; {hint}")
        value = whole(value)
    if not _is_whole(value):
        raise ValueError(f"{what} {shown(value)} is neither a number nor a name")
    if value < 0 or (classes and value >= len(classes)):
        most = f" to {len(classes) - 1}" if classes else ""
        raise ValueError(f"{what} {shown(value)} is no number from 0{most}; count from 0")


def check_choice(answer: Any, choices: Sequence[str] | None = None, count: int | None = None) -> int:
    """Return the number of the right one among choices, from its number or its text.

    Raises:
        ValueError: If it is not among them.
    """
    if choices is not None and answer in choices:
        return list(choices).index(answer)
    if isinstance(answer, str):
        answer = answer if (number := whole(answer)) is None else number
    if choices is not None:
        count = len(choices)
    if not _is_whole(answer) or answer < 0 or (count is not None and answer >= count):
        among = "choices" if count is None else f"{count} choices"
        raise ValueError(f"answer {shown(answer)} is not among the {among}; give its number, from 0")
    return int(answer)


def check_answers(answers: Any, classes: Sequence[str] = ()) -> None:
    """Look at answers and their confidences.

    Answers in words may be outside `classes`: every vocabulary of frequent answers leaves some out.

    Raises:
        ValueError: If they are no mapping, a number is no class, or a confidence is not in 0..1.
    """
    if not isinstance(answers, Mapping):
        raise ValueError(f"answers {shown(answers)} are no mapping; give answer -> confidence")
    for answer, confidence in answers.items():
        check_class(answer, () if isinstance(answer, str) else classes, "answer")
        if not _is_number(confidence) or not 0 <= confidence <= 1:
            raise ValueError(f"confidence {shown(confidence)} of answer {shown(answer)} is not in 0..1")


def are_numbers(values: Any, count: int) -> bool:
    """Say whether values are a sequence of so many finite numbers."""
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and len(values) == count
        and all(map(_is_number, values))
    )


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what floats hold
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
