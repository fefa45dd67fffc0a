"""Validate labels without loading media, so that every row can be checked before training."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import numpy as np

from onepeace_pl.data.source import Labels, Source, labels_of
from onepeace_pl.errors import UserError, nearest

ROUNDING = 1.0
"""Pixels that a box may reach beyond its image: annotations are rounded."""

LONGEST = 200
"""Characters of a value in an error message."""

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 80


def shown(value: object) -> str:
    """Format a value for an error message; long or deeply nested ones are truncated."""
    try:
        text = _shortened.repr(value)
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    except ValueError:  # a whole number of more than 4300 digits
        return "a number of more than 4300 digits"


def whole(text: str) -> int | None:
    """Parse a non-negative integer of at most 18 digits; None where the text is none."""
    text = text.strip()
    return int(text) if len(text) <= 18 and text.isdecimal() else None


def check_label(labels: Labels, classes: Sequence[str] = (), choices: int | None = None) -> None:
    """Validate the labels of one row (:class:`~onepeace_pl.data.source.Row` lists them).

    Args:
        labels: Labels of the row; unknown ones are ignored.
        classes: Names of the classes in the order of their indices; where there are none, names are taken as
            they are.
        choices: Number of choices of the row; None where that is not known.

    Raises:
        UserError: If a class is unknown, a box is reversed or lies outside its image, the right answer is
            not among the choices, or a confidence is not in 0..1; names the value and the remedy.
    """
    if "class" in labels:
        check_class(labels["class"], classes, "class")
    if "classes" in labels:
        for value in several(labels["classes"]):
            check_class(value, classes, "class")
    if "box" in labels:
        check_box(labels["box"], labels.get("image_size"))
    for number, thing in enumerate(labels.get("objects", ())):
        check_object(number, thing, labels.get("image_size"), classes)
    if "answer" in labels:
        check_choice(labels["answer"], labels.get("choices"), choices)
    if "answers" in labels:
        check_answers(labels["answers"], classes)
    if "truth" in labels:
        check_truth(labels["truth"])
    if "group" in labels and not isinstance(labels["group"], str):
        raise UserError(f"group {shown(labels['group'])} is no text; give the name of a group")


def checked(place: str, labels: Labels, classes: Sequence[str] = (), choices: int | None = None) -> Labels:
    """Validate labels and return them; error messages begin with the place.

    Raises:
        UserError: As `check_label`.
    """
    try:
        check_label(labels, classes, choices)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error
    return labels


def bad_labels(source: Source, classes: Sequence[str] = ()) -> Iterator[tuple[int, str]]:
    """Yield index and error message of each row with invalid labels; loads rows only where it must."""
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


def several(value: object) -> Sequence[object]:
    """Return the classes of a row as a sequence; a str is split at commas."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    if not isinstance(value, Sequence):
        raise UserError(f"classes {shown(value)} are no sequence; give a list, or a text with commas")
    return value


def check_box(box: object, image_size: object = None) -> None:
    """Validate a box x0, y0, x1, y1 against the (width, height) of its image, all in pixels.

    Raises:
        UserError: If it has no area, is reversed, lies outside the image, or is not four numbers.
    """
    if not are_numbers(box, 4):
        raise UserError(f"box {shown(box)} is not four finite numbers; write x0, y0, x1, y1 in pixels")
    x0, y0, x1, y1 = box
    corners = ", ".join(f"{value:g}" for value in box)
    if x0 >= x1 or y0 >= y1:
        raise UserError(
            f"box ({corners}) is reversed or empty; write the corners x0, y0, x1, y1 with x0 < x1 and y0 < y1"
        )
    if image_size is None:
        return
    if not are_numbers(image_size, 2) or min(image_size) <= 0:
        raise UserError(f"image_size {shown(image_size)} is no width and height; give both in pixels")
    width, height = image_size
    if min(x0, y0) < -ROUNDING or x1 > width + ROUNDING or y1 > height + ROUNDING:
        raise UserError(
            f"box ({corners}) lies outside its image of {width:g} x {height:g} pixels; "
            "write corners in pixels of that image"
        )


def check_object(number: int, thing: Labels, image_size: object, classes: Sequence[str] = ()) -> None:
    """Validate class and box of an object; ``number`` is its index in the image.

    Raises:
        UserError: If one is missing, or as `check_box` and `check_class`.
    """
    for name in ("class", "box"):
        if name not in thing:
            raise UserError(f"object {number} has no {name!r}; it has {', '.join(thing) or 'nothing'}")
    try:
        check_box(thing["box"], image_size)
        check_class(thing["class"], classes)
    except ValueError as error:
        raise UserError(f"object {number}: {error}") from None


def check_truth(truth: object) -> bool:
    """Parse a truth value, a bool or its name.

    Raises:
        UserError: If it is neither.
    """
    if not isinstance(truth, str | bool | np.bool_) or str(truth).lower() not in ("true", "false"):
        raise UserError(f"truth {shown(truth)} is neither true nor false; write one of the two")
    return str(truth).lower() == "true"


class _Names(tuple[str, ...]):
    """A tuple of names with constant-time membership."""

    def __init__(self, _: Sequence[str]) -> None:
        self._known = frozenset(self)

    def __contains__(self, name: object) -> bool:
        return name in self._known


def check_class(value: object, classes: Sequence[str], what: str = "class") -> None:
    """Validate a class, an index or a name; any is valid without `classes`.

    Raises:
        UserError: If there is no such class.
    """
    if isinstance(value, str):
        if not classes or value in classes:
            return
        if not value.isdecimal():
            hint = nearest(value, classes, "add it to `classes`, or leave the row out")
            raise UserError(f"{what} {shown(value)} is none of the {len(classes)}; {hint}")
        value = whole(value)
    if not _is_whole(value):
        raise UserError(f"{what} {shown(value)} is neither a number nor a name")
    if value < 0 or (classes and value >= len(classes)):
        most = f" to {len(classes) - 1}" if classes else ""
        raise UserError(f"{what} {shown(value)} is no number from 0{most}; count from 0")


def check_choice(answer: object, choices: Sequence[str] | None = None, count: int | None = None) -> int:
    """Return the index of the right choice, from its index or its text.

    Raises:
        UserError: If it is not among them.
    """
    if choices is not None and isinstance(answer, str) and answer in choices:
        return list(choices).index(answer)
    if isinstance(answer, str):
        answer = answer if (number := whole(answer)) is None else number
    if choices is not None:
        count = len(choices)
    if not _is_whole(answer) or answer < 0 or (count is not None and answer >= count):
        among = "choices" if count is None else f"{count} choices"
        raise UserError(f"answer {shown(answer)} is not among the {among}; give its number, from 0")
    return int(answer)


def check_answers(answers: object, classes: Sequence[str] = ()) -> None:
    """Validate answers and their confidences.

    Answers in words may be outside `classes`: every vocabulary of frequent answers leaves some out.

    Raises:
        UserError: If they are no mapping, a number is no class, or a confidence is not in 0..1.
    """
    if not isinstance(answers, Mapping):
        raise UserError(f"answers {shown(answers)} are no mapping; give answer -> confidence")
    for answer, confidence in answers.items():
        check_class(answer, () if isinstance(answer, str) else classes, "answer")
        if not _is_number(confidence) or not 0 <= confidence <= 1:
            raise UserError(f"confidence {shown(confidence)} of answer {shown(answer)} is not in 0..1")


def are_numbers(values: object, count: int) -> TypeGuard[Sequence[float]]:
    """Return whether values are a sequence of that many finite numbers."""
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and len(values) == count
        and all(map(_is_number, values))
    )


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what floats hold
        return False


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
