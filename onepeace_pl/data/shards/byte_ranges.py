"""Byte ranges of files: local ones by position, remote ones (``s3://...``) through fsspec."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.libraries import LibraryError
from onepeace_pl.utils.regular_files import require_regular

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_MOST_OPEN: Final = 128  # local files of one process


def is_remote(path: str) -> bool:
    """Return whether a path is a URL, which fsspec reads."""
    return "://" in path


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Raises:
        LibraryError: The package of its protocol is not installed; names it.
        UserError: There is no such protocol.
    """
    import fsspec

    protocol = url.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise LibraryError(
            f"{url}: {protocol}:// needs a package of fsspec that is not installed ({first_line(error)})"
        ) from error
    except ValueError as error:
        raise UserError(f"{url}: {first_line(error)}; fsspec lists its protocols") from error
    return system, str(path)


class ByteRanges:
    """Reader of byte ranges. Picklable; each process opens files of its own."""

    def __init__(self) -> None:
        self._process = 0
        self._open: OrderedDict[str, int] = OrderedDict()

    def size(self, path: str) -> int:
        """Return the number of bytes of a file.

        Raises:
            UserError: It cannot be read.
        """
        try:
            if not is_remote(path):
                return os.stat(path).st_size
            system, inner = file_system(path)
            return int(system.size(inner))
        except OSError as error:
            raise _unreadable(path, error) from error

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Return bytes from ``start`` to ``stop``; fewer at the end of the file.

        Raises:
            UserError: It cannot be read.
        """
        try:
            if not is_remote(path):
                return os.pread(self._descriptor(path), stop - start, start)
            system, inner = file_system(path)
            return bytes(system.cat_file(inner, start=start, end=stop))
        except OSError as error:
            raise _unreadable(path, error) from error

    def _descriptor(self, path: str) -> int:
        # read by position: a forked worker shares no cursor with its parent, but must not close its files either
        if self._process != os.getpid():
            self._process, self._open = os.getpid(), OrderedDict()
        if path not in self._open:
            require_regular(path)
            self._open[path] = os.open(path, os.O_RDONLY)
            if len(self._open) > _MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(path)
        return self._open[path]

    def __getstate__(self) -> dict[str, Any]:
        return {"_process": 0, "_open": OrderedDict()}


def open_binary(path: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        UserError: It cannot be read.
    """
    try:
        if not is_remote(path):
            require_regular(path)
            return open(path, "rb")
        system, inner = file_system(path)
        opened: BinaryIO = system.open(inner, "rb")
        return opened
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror or first_line(error, type(error).__name__)}; check the path")
