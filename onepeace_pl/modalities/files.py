"""Encoded files: a path, bytes, an open file, or a row of Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeAlias, TypeGuard, runtime_checkable

from onepeace_pl.errors import UserError


@runtime_checkable
class BinaryFile(Protocol):
    """An open file, binary."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a place."""


FileRow: TypeAlias = Mapping[str, object]
"""Row of Hugging Face datasets without decoding: ``bytes``, or a ``path`` where they are None."""

EncodedFile: TypeAlias = str | Path | bytes | bytearray | memoryview | BinaryFile | FileRow
"""Path, encoded bytes, open file, or ``{"path": ..., "bytes": ...}``."""


def is_encoded(raw: object) -> TypeGuard[EncodedFile]:
    """Return whether a raw value is an encoded file."""
    return isinstance(raw, str | Path | bytes | bytearray | memoryview | BinaryFile | Mapping)


def path_or_bytes(raw: EncodedFile, what: str) -> str | Path | bytes:
    """Return where an encoded file is, or its bytes.

    Args:
        raw: The file; an open one is read from its beginning.
        what: Name of its content, for errors.

    Raises:
        UserError: An open file is of text, or a mapping has neither ``path`` nor ``bytes``.
    """
    if isinstance(raw, str | Path | bytes):
        return raw
    if isinstance(raw, Mapping):
        held = raw.get("bytes")
        found = held if held is not None else raw.get("path")
        if not isinstance(found, str | Path | bytes):
            raise UserError(f"{what}: a dict with the keys {_keys(raw)}; it needs 'bytes' or 'path'")
        return found
    if isinstance(raw, BinaryFile):
        raw.seek(0)
        content = raw.read()
        if not isinstance(content, bytes):
            raise UserError(f"{what}: a file opened for text; open it with mode 'rb'")
        return content
    return bytes(raw)


def _keys(raw: FileRow) -> str:
    return ", ".join(map(repr, raw)) or "(none)"
