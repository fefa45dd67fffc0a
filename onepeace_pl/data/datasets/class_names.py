"""Class names in the order of their indices, from a list or a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from onepeace_pl.data.labels.checking import shown, whole
from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.tables import csv_rows, read_json
from onepeace_pl.errors import UserError, nearest


def read_classes(classes: Sequence[str] | str, column: int = 0) -> tuple[str, ...]:
    """Read class names.

    Args:
        classes: The names, or a file: text with one name a line, JSON (a list, number -> name or name ->
            number), or CSV without a header.
        column: Column of the names in a CSV.

    Raises:
        UserError: If the file is missing or of another shape, a name occurs twice, or numbers are not 0, 1,
            2, ...
    """
    path = classes if isinstance(classes, str) else "classes"
    if not isinstance(classes, str):
        names = list(classes)
    elif classes.endswith(".json"):
        names = _from_json(Path(classes))
    elif classes.endswith(".csv"):
        names = _from_csv(Path(classes), column)
    else:
        names = [line.strip() for line in read_text(Path(classes)).splitlines() if line.strip()]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None or not names:
        problem = f"class {shown(twice)} occurs twice" if names else "no classes"
        raise UserError(f"{path}: {problem}; name each class once, in the order of their indices")
    return tuple(names)


def class_names(classes: Sequence[str] | int | str) -> tuple[str, ...]:
    """Return class names from a list of them, a file, or the number of nameless classes."""
    if isinstance(classes, int):
        return tuple(map(str, range(classes)))
    return read_classes(classes) if classes else ()


def class_number(name: str, numbers: dict[str, int], place: str) -> int:
    """Return the index of a class.

    Raises:
        UserError: If there is none of that name; names the nearest.
    """
    if name in numbers:
        return numbers[name]
    hint = nearest(name, numbers, "add it to the classes, or leave the row out")
    raise UserError(f"{place}: class {shown(name)} is none of the {len(numbers)}; {hint}")


def _from_csv(path: Path, column: int) -> list[str]:
    names = []
    for line, values in csv_rows(path):
        if len(values) <= column:
            raise UserError(f"{path}:{line}: no column {column + 1}, where the name of a class should be")
        names.append(values[column])
    return names


def _from_json(path: Path) -> list[str]:
    content = read_json(path)
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if isinstance(content, dict) and content:
        if all(isinstance(value, int) for value in content.values()):  # name -> number
            content = {number: name for name, number in content.items()}
        try:
            # the original's files of texts have a list of names for each number
            return [_name(name[0] if isinstance(name, list) and name else name) for name in _counted(content)]
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
    raise UserError(f"{path}: neither a list of names nor number -> name; write one of the two")


def _counted(content: Mapping[object, object]) -> list[object]:
    """Return the values of number -> value in the order of the numbers."""
    pairs: dict[int, object] = {}
    for key, value in content.items():
        number = whole(str(key))
        if number is None:
            raise UserError("neither number -> name nor name -> number; write one of the two")
        pairs[number] = value
    if sorted(pairs) != list(range(len(content))):
        raise UserError(f"numbers of classes are not 0 to {len(content) - 1}; give each class its own")
    return [pairs[number] for number in range(len(content))]


def _name(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise UserError(f"{shown(value)} is no name of a class")
    return str(value)
