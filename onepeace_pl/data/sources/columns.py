"""Table columns: lookup by name, media values, unique ids."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.utils.regular_files import require_regular

# How encoded images begin in base64: JPEG, PNG, GIF, WebP.
_ENCODED = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")
_LONGEST_PATH = 1024


def column_number(path: Path, header: Sequence[str], wanted: str) -> int:
    """Return the index of a column.

    Raises:
        UserError: If there is none of that name; names the nearest.
    """
    if wanted in header:
        return list(header).index(wanted)
    more = ", ..." if len(header) > 20 else ""
    hint = nearest(wanted, header, f"it has {', '.join(map(shown, header[:20]))}{more}")
    raise UserError(f"{path}: no column {wanted!r}; {hint}")


def check_unique(path: Path, ids: Iterable[str], first_line: int = 2) -> None:
    """Check that no id occurs twice.

    Raises:
        UserError: If one does; names both lines.
    """
    seen: dict[str, int] = {}
    for line, identity in enumerate(ids, start=first_line):
        if identity in seen:
            raise UserError(
                f"{path}:{line}: id {shown(identity)} is already on line {seen[identity]}; "
                "give each row its own, or set unique_ids: false"
            )
        seen[identity] = line


def media(value: str, root: Path) -> str | bytes:
    """Return a media value as a path below `root`, or as bytes where it is an image in base64.

    Raises:
        UserError: If it is neither.
    """
    is_encoded = value.startswith(_ENCODED) and (value[0] != "/" or len(value) > _LONGEST_PATH)
    if not is_encoded and len(value) <= _LONGEST_PATH:
        return str(root / value)
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise UserError(
            f"{value[:24]!r}... is no path and no base64 ({error}); write the file again"
        ) from error


def shared_by_id(source: Source) -> tuple[str, ...]:
    """Return the modalities of which rows with equal id have the same value; empty where ids are unique."""
    first: dict[str, dict[str, Any]] = {}
    differ: set[str] = set()
    for index in range(len(source)):
        row = source[index]
        known = first.setdefault(row.id, row.fields)
        differ.update(name for name, value in row.fields.items() if known[name] != value)
    if len(first) == len(source):
        return ()
    return tuple(name for name in source.modalities if name not in differ)


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        UserError: If it is missing or not UTF-8.
    """
    try:
        require_regular(path)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from error
