"""Labels out of a user's own columns: text becomes numbers, boxes, truth and lists where a label needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onepeace_pl.data.labels.checking import checked, several, shown, whole
from onepeace_pl.data.sources.tables import parse_json

MOST_CLASSES = 1_000_000
"""Classes of a column of numbers; where one is greater, something else stands in it."""

_TRUTH = {
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


def read_labels(
    columns: Mapping[str, str | Sequence[str]], row: Mapping[str, Any], choices: Sequence[str] | None
) -> dict[str, Any]:
    """Return the labels of one row, converted as far as a row alone allows.

    Args:
        columns: Label to column, or to several (a box of four).
        row: Column to value.
        choices: Choices of the row, where it has some.

    Raises:
        ValueError: If a value cannot be what the label needs; names column and value.
    """
    found: dict[str, Any] = {}
    for label, column in columns.items():
        value = row[column] if isinstance(column, str) else [row[one] for one in column]
        convert = {"box": _numbers, "extent": _numbers, "truth": _truth, "classes": _list}.get(label)
        try:
            if label == "answer":
                found[label] = _answer(value, choices)
            elif label == "answers":
                found[label] = _answers(value)
            elif label in ("class", "topic"):
                found[label] = _named_one(value)
            else:
                found[label] = convert(value) if convert else value
        except ValueError as error:
            name = column if isinstance(column, str) else ", ".join(column)
            raise ValueError(f"column {name}: {error}") from error
    if "topic" in found:
        found["topic"] = str(found["topic"])
    return found


def number_classes(
    rows: Iterable[tuple[str, dict[str, Any]]], given: Sequence[str] | None
) -> tuple[str, ...]:
    """Settle what classes there are, turn their numbers into int, and look at every row's labels.

    Without `given`, names are taken in alphabetical order; where every row has a number, the numbers are
    the classes.

    Args:
        rows: What to call it and the labels of each row; the labels are changed in place.
        given: Names of the classes in the order of their numbers.

    Raises:
        ValueError: If the labels of a row are of no use; begins with the place.
    """
    rows = list(rows)
    said = {value for _, labels in rows for value in _named(labels)}
    all_numbers = bool(said) and all(_is_number(value) for value in said)
    if given is not None:
        classes = tuple(given)
    elif all_numbers:
        most = max(map(int, said))
        if most >= MOST_CLASSES:
            place = next(place for place, labels in rows if str(most) in map(str, _named(labels)))
            raise ValueError(
                f"{place}: class {most}: numbers of classes go from 0 to {MOST_CLASSES - 1}; "
                "give the names in `classes`"
            )
        classes = tuple(map(str, range(most + 1)))
    else:
        classes = tuple(sorted(map(str, said)))
    names = frozenset(classes) if given is not None or not all_numbers else frozenset()

    def settled(value: Any) -> Any:
        return int(value) if str(value) not in names and _is_number(value) else _text(value)

    for place, labels in rows:
        if "class" in labels:
            labels["class"] = settled(labels["class"])
        if "classes" in labels:
            labels["classes"] = tuple(map(settled, labels["classes"]))
        if "answers" in labels:
            labels["answers"] = {settled(name): value for name, value in labels["answers"].items()}
        checked(place, labels, classes)
    return classes


def read_list(value: Any) -> list[Any]:
    """Return a list, or what a text holds: a JSON list, or parts between commas."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str) and value.lstrip().startswith("["):
        found = _json(value)
        if isinstance(found, list):
            return found
    return list(several(value)) if isinstance(value, str) else [value]


def _named(labels: Mapping[str, Any]) -> list[Any]:
    one = [labels["class"]] if "class" in labels else []
    return [*one, *labels.get("classes", ()), *labels.get("answers", ())]


def _is_number(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and whole(str(value)) is not None


def _named_one(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError(f"{shown(value)} is neither a name nor a number")
    return value


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else str(value)


def _list(value: Any) -> tuple[Any, ...]:
    return tuple(map(_named_one, read_list(value)))


def _numbers(value: Any) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in read_list(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{shown(value)} are not numbers; write pixels, as 12,30,80.5,64") from error


def _truth(value: Any) -> bool:
    found = _TRUTH.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise ValueError(f"{shown(value)} is neither true nor false; write one of the two")
    return found


def _answer(value: Any, choices: Sequence[str] | None) -> int:
    """Return the number of the right choice, which is given by its words or its number from 0."""
    if choices is not None and value in choices:
        return list(choices).index(value)
    if not _is_number(value) or (choices is not None and int(value) >= len(choices)):
        among = "a number from 0" if choices is None else f"among the choices {shown(list(choices))}"
        raise ValueError(f"answer {shown(value)} is not {among}; give the right choice's words or its number")
    return int(value)


def _answers(value: Any) -> dict[Any, Any]:
    """Return answer -> confidence, from one answer, a list of answers that are all right, or a mapping."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        value = _json(value)
    if isinstance(value, Mapping):
        return dict(value)
    return dict.fromkeys(map(_named_one, value if isinstance(value, list) else [value]), 1.0)


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is not JSON ({error}); correct it") from error
