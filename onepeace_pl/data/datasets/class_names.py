"""Names of classes in the order of their numbers, from a list or a file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.tables import read_json
from onepeace_pl.errors import UserError, nearest


def read_classes(classes: Sequence[str] | str, column: int = 0) -> tuple[str, ...]:
    """Return the names of classes.

    Args:
        classes: The names, or a file: text with one name a line, JSON (a list, number -> name or name ->
            number), or CSV without a header.
        column: Column of the names in a CSV.

    Raises:
        ValueError: If the file is missing or of another shape, a name occurs twice, or numbers are not 0, 1,
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
        problem = f"class {twice!r} occurs twice" if names else "no classes"
        raise ValueError(f"{path}: {problem}; name each class once, in the order of their numbers")
    return tuple(names)


def class_number(name: str, numbers: dict[str, int], place: str) -> int:
    """Return the number of a class.

    Raises:
        ValueError: If there is none of that name; names the nearest.
    """
    if name in numbers:
        return numbers[name]
    hint = nearest(name, numbers, "add it to the classes, or leave the row out")
    raise UserError(f"{place}: class {name!r} is none of the {len(numbers)}; {hint}")


def _from_csv(path: Path, column: int) -> list[str]:
    names = []
    for line, values in enumerate(csv.reader(io.StringIO(read_text(path), newline="")), start=1):
        if len(values) <= column:
            raise ValueError(f"{path}:{line}: no column {column + 1}, where the name of a class should be")
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
            return [
                str(name[0] if isinstance(name, list) and name else name) for _, name in _counted(content)
            ]
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    raise ValueError(f"{path}: neither a list of names nor number -> name; write one of the two")


def _counted(content: dict[object, object]) -> list[tuple[int, object]]:
    try:
        pairs = sorted((int(str(number)), name) for number, name in content.items())
    except ValueError as error:
        raise ValueError("neither number -> name nor name -> number; write one of the two") from error
    if [number for number, _ in pairs] != list(range(len(pairs))):
        raise ValueError(f"numbers of classes are not 0 to {len(pairs) - 1}; give each class its own")
    return pairs
