"""Readers of CSV, JSON lines and JSON; errors name file and line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.sources.columns import column_number, read_text
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.text.cleaning import well_formed

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_csv(
    path: Path, needs: Sequence[str] = (), header: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the line and column -> value for each row.

    Args:
        path: The file; values may be quoted.
        needs: Columns that must be there.
        header: Names of the columns of a file that has no header.

    Raises:
        UserError: If the file is missing or no CSV, has no rows, lacks a column, or a row is ragged.
    """
    rows = csv_rows(path)
    names = list(header) if header is not None else next(rows, (1, []))[1]
    for name in needs:
        column_number(path, names, name)
    line = 0
    for line, values in rows:
        if len(values) != len(names):
            raise UserError(
                f"{path}:{line}: {len(values)} columns instead of {len(names)}; "
                "quote values that hold commas, or delete the line"
            )
        yield line, dict(zip(names, values, strict=True))
    if not line:
        raise UserError(no_rows(path))


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and the values of each row, the header included.

    Raises:
        UserError: If the file is missing or no CSV.
    """
    csv.field_size_limit(2**31 - 1)  # an image in base64 is longer than the default
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for values in reader:
            yield reader.line_num, values
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not valid CSV ({error}); quote the value") from error


def parse_json(text: str) -> object:
    """Parse JSON; halves of surrogate pairs, which no file can hold, become U+FFFD.

    Raises:
        UserError: If it is not JSON, or nested too deeply.
    """
    try:
        content = json.loads(text)
        if _SURROGATE.search(text):
            content = json.loads(well_formed(json.dumps(content, ensure_ascii=False)))
    except RecursionError as error:
        raise UserError("nested too deeply") from error
    return content


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the number of the line and the object of each line that is not empty.

    Raises:
        UserError: If the file is missing or has no rows, or a line is no JSON object.
    """
    number = 0
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = parse_json(text)
        except ValueError as error:
            raise UserError(f"{path}:{line}: not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}:{line}: a {type(row).__name__}, not an object; write one object a line")
        number = line
        yield line, row
    if not number:
        raise UserError(no_rows(path))


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        UserError: If it is missing or not JSON.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        line, problem = (error.lineno, error.msg) if isinstance(error, json.JSONDecodeError) else (1, error)
        raise UserError(f"{path}:{line}: not JSON ({problem}); download the file again") from error


def entries(
    path: Path, content: object, key: str | None = None
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield place (for error messages) and object of each entry of a list.

    Args:
        path: File of `content`.
        content: The list, or an object that holds it.
        key: Under which key; None where `content` is the list.

    Raises:
        UserError: If there is no such list, it is empty, or holds something else.
    """
    found = content if key is None else need(content, key, str(path))
    if not isinstance(found, list):
        place = "" if key is None else f" under {key!r}"
        raise UserError(f"{path}: a {type(found).__name__}, not a list{place}; is this the right file?")
    if not found:
        raise UserError(no_rows(path))
    for number, entry in enumerate(found):
        if not isinstance(entry, dict):
            raise UserError(f"{path}: entry {number}: a {type(entry).__name__}, not an object")
        yield f"{path}: entry {number}", entry


def need(entry: object, key: str, place: str) -> object:
    """Return the value of a key.

    Raises:
        UserError: If it is not there; names the place and the keys that are.
    """
    if not isinstance(entry, Mapping) or key not in entry:
        there = ", ".join(map(shown, list(entry)[:8])) if isinstance(entry, Mapping) else type(entry).__name__
        raise UserError(f"{place}: no {key!r}; it has {there or 'nothing'}: is this the right file?")
    return entry[key]


def need_value(entry: object, key: str, place: str) -> str | int | float:
    """Return the text or the number of a key.

    Raises:
        UserError: If it is not there, or something else.
    """
    value = need(entry, key, place)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{place}: {key} {shown(value)} is neither a text nor a number; correct the entry")
    return value


def need_number(entry: object, key: str, place: str) -> int | float:
    """Return the number of a key.

    Raises:
        UserError: As `need_value`, or it is a text.
    """
    value = need_value(entry, key, place)
    if isinstance(value, str):
        raise UserError(f"{place}: {key} {shown(value)} is no number; write one without quotes")
    return value


def need_text(entry: object, key: str, place: str) -> str:
    """Return the text of a key; a number is written out.

    Raises:
        UserError: As `need_value`.
    """
    return str(need_value(entry, key, place))


def need_list(entry: object, key: str, place: str) -> list[object]:
    """Return the list of a key.

    Raises:
        UserError: If it is not there, or something else.
    """
    value = need(entry, key, place)
    if not isinstance(value, list | tuple):
        raise UserError(f"{place}: {key} {shown(value)} is no list; correct the entry")
    return list(value)


def no_rows(path: Path) -> str:
    """Return the error message for a file without rows."""
    return f"{path}: no rows; check that the file was written whole"
