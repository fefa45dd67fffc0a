"""Atomic writing: a file or folder is made beside its target, synced to disk, then renamed onto it.

Whenever the process is killed, the target is the old one or the new one, and whole. A file is renamed in one step. A
folder takes two (the old one has to step aside), so that a kill between them leaves the target missing;
:func:`existing` finds what stands in for it, and :func:`recover` puts that in its place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NEW, OLD = ".new-", ".old-"  # prefixes, since libraries recognise formats by suffix


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path to write a file to; at the end of the ``with`` block it replaces ``path``.

    If the block raises, ``path`` stays as it was. The file has the permissions that a plain ``open`` would give it,
    whoever writes it: some libraries go through temporary files that only the owner may read.

    Args:
        path: The target; its folder is made.

    Raises:
        OSError: The file cannot be written; it names the target.
    """
    path = Path(path)
    new = beside(path, f"{NEW}{os.getpid()}-")  # unique, if several processes write one file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.touch()
        mode = new.stat().st_mode
        yield new
        new.chmod(mode)
        sync(new)
        replace(new, path)
    except OSError as error:
        _discard_quietly(new)
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    except BaseException:
        _discard_quietly(new)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a binary file atomically."""
    with replacing(path) as new:
        new.write_bytes(content)


def save(content: object, path: Path) -> None:
    """Call ``torch.save``, with the system's own error where the file cannot be written.

    Raises:
        OSError: Instead of the ``RuntimeError`` that torch makes of it.
    """
    import torch

    with path.open("wb") as opened:
        file = _Writer(opened)
        try:
            torch.save(content, file)  # type: ignore[arg-type]
        except Exception:
            if file.error is not None:
                raise file.error from None
            raise


def replace(new: Path, path: Path) -> None:
    """Put ``new``, a whole file or folder beside ``path``, in its place."""
    old = beside(path, OLD)
    if path.exists() and (path.is_dir() or new.is_dir()):
        discard(old)
        os.replace(path, old)
    os.replace(new, path)
    _sync_folder(path.parent)
    discard(old)


def existing(path: Path) -> Path:
    """Return ``path``, or the folder that stands in for it where a kill has interrupted :func:`replace`."""
    old = beside(path, OLD)
    return old if old.exists() and not path.exists() else path


def recover(folder: Path) -> None:
    """Finish interrupted replacements in a folder that nobody writes to, and remove what was not written whole."""
    for old in folder.glob(f"{OLD}*"):
        path = folder / old.name.removeprefix(OLD)
        new = beside(path, NEW)
        if not path.exists():
            os.replace(new if new.exists() else old, path)  # the old one steps aside only for a whole new one
        discard(old)
    for new in folder.glob(f"{NEW}*"):
        discard(new)


def beside(path: Path, prefix: str) -> Path:
    """Return the path of what is new, or old, in the same folder."""
    return path.with_name(f"{prefix}{path.name}")


def discard(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or every file of a folder, is on the disk."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("r+b") as opened:  # Windows syncs only what may be written
                os.fsync(opened.fileno())
    if path.is_dir():
        _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not on Windows
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _discard_quietly(path: Path) -> None:
    with suppress(OSError):
        discard(path)


class _Writer:
    """A file that remembers why it could not be written."""

    def __init__(self, file: Any) -> None:
        self.error: OSError | None = None
        self._file = file

    def write(self, data: Any) -> int:
        try:
            written: int = self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        return written

    def flush(self) -> None:
        self._file.flush()
