"""Labels from table columns: text is parsed to numbers, boxes, truth values and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onepeace_pl.data.labels.checking import checked, several, shown, whole
from onepeace_pl.data.source import Labels
from onepeace_pl.data.sources.tables import parse_json
from onepeace_pl.errors import UserError

MOST_CLASSES = 1_000_000
"""Limit of class indices; a column with larger numbers holds something else."""

_TRUTH = {
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


def read_labels(
    columns: Mapping[str, str | Sequence[str]], row: Mapping[str, object], choices: Sequence[str] | None
) -> Labels:
    """Parse the labels of one row, as far as that is possible without the other rows.

    Args:
        columns: Label to column, or to several (a box of four).
        row: Column to value.
        choices: Choices of the row, where it has some.

    Raises:
        UserError: If a value cannot be what the label needs; names column and value.
    """
    found: dict[str, object] = {}
    for label, column in columns.items():
        value = row[column] if isinstance(column, str) else [row[one] for one in column]
        convert = {"box": _numbers, "image_size": _numbers, "truth": _truth, "classes": _list}.get(label)
        try:
            if label == "answer":
                found[label] = _answer(value, choices)
            elif label == "answers":
                found[label] = _answers(value)
            elif label in ("class", "group"):
                found[label] = _named_one(value)
            else:
                found[label] = convert(value) if convert else value
        except ValueError as error:
            name = column if isinstance(column, str) else ", ".join(column)
            raise UserError(f"column {name}: {error}") from error
    if "group" in found:
        found["group"] = str(found["group"])
    return found


def number_classes(
    rows: Sequence[tuple[str, Labels]], names: Sequence[str] | None
) -> tuple[tuple[str, ...], list[Labels]]:
    """Return the classes, and the validated labels of every row with class indices as int.

    Without `names`, classes are taken in alphabetical order; where every row has a number, the numbers are
    the classes.

    Args:
        rows: What to call it and the labels of each row.
        names: Names of the classes in the order of their indices.

    Raises:
        UserError: If the labels of a row are of no use; begins with the place.
    """
    said = {value for _, labels in rows for value in _named(labels)}
    all_numbers = bool(said) and all(_is_number(value) for value in said)
    if names is not None:
        classes = tuple(names)
    elif all_numbers:
        most = max(int(str(value)) for value in said)
        if most >= MOST_CLASSES:
            place = next(place for place, labels in rows if str(most) in map(str, _named(labels)))
            raise UserError(
                f"{place}: class {most}: numbers of classes go from 0 to {MOST_CLASSES - 1}; "
                "give the names in `classes`"
            )
        classes = tuple(map(str, range(most + 1)))
    else:
        classes = tuple(sorted(map(str, said)))
    known = frozenset(classes) if names is not None or not all_numbers else frozenset()

    def settled(value: object) -> int | str:
        return int(str(value)) if str(value) not in known and _is_number(value) else _text(value)

    numbered = []
    for place, labels in rows:
        changed = dict(labels)
        if "class" in labels:
            changed["class"] = settled(labels["class"])
        if "classes" in labels:
            changed["classes"] = tuple(map(settled, labels["classes"]))
        if "answers" in labels:
            changed["answers"] = {settled(name): value for name, value in labels["answers"].items()}
        numbered.append(checked(place, changed, classes))
    return classes, numbered


def read_list(value: object) -> list[object]:
    """Parse a list: a list, a JSON list, or a text with commas."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str) and value.lstrip().startswith("["):
        found = _json(value)
        if isinstance(found, list):
            return found
    return list(several(value)) if isinstance(value, str) else [value]


def _named(labels: Labels) -> list[object]:
    one = [labels["class"]] if "class" in labels else []
    return [*one, *labels.get("classes", ()), *labels.get("answers", ())]


def _is_number(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and whole(str(value)) is not None


def _named_one(value: object) -> str | int | float:
    if not isinstance(value, str | int | float):
        raise UserError(f"{shown(value)} is neither a name nor a number")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _list(value: object) -> tuple[str | int | float, ...]:
    return tuple(map(_named_one, read_list(value)))


def _numbers(value: object) -> tuple[float, ...]:
    try:
        return tuple(float(_named_one(part)) for part in read_list(value))
    except (ValueError, OverflowError) as error:
        raise UserError(f"{shown(value)} are not numbers; write pixels, as 12,30,80.5,64") from error


def _truth(value: object) -> bool:
    found = _TRUTH.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise UserError(f"{shown(value)} is neither true nor false; write one of the two")
    return found


def _answer(value: object, choices: Sequence[str] | None) -> int:
    """Return the index of the right choice, given by its text or its index."""
    if choices is not None and isinstance(value, str) and value in choices:
        return list(choices).index(value)
    if not _is_number(value) or (choices is not None and int(str(value)) >= len(choices)):
        among = "a number from 0" if choices is None else f"among the choices {shown(list(choices))}"
        raise UserError(f"answer {shown(value)} is not {among}; give the right choice's words or its number")
    return int(str(value))


def _answers(value: object) -> dict[object, object]:
    """Return answer -> confidence, from one answer, a list of answers that are all right, or a mapping."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        value = _json(value)
    if isinstance(value, Mapping):
        return dict(value)
    return dict.fromkeys(map(_named_one, value if isinstance(value, list) else [value]), 1.0)


def _json(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"{text[:60]!r} is not JSON ({error}); correct it") from error
