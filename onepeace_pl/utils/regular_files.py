"""Checks for regular files, as opposed to pipes and devices."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def require_regular(path: str | Path) -> None:
    """Reject pipes and devices: a pipe keeps its reader waiting, a device never ends.

    Raises:
        OSError: The path is missing, or such a thing.
    """
    if _is_endless(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def is_endless(path: str | Path) -> bool:
    """Return whether there is something to read from that is no file: a pipe, a device, a socket."""
    try:
        return _is_endless(os.stat(path).st_mode)
    except (OSError, ValueError):  # there is nothing, or it is no path
        return False


def shown_path(path: str | Path) -> str:
    """Return a path for a message, shortened if it is very long (a text or an image by mistake)."""
    text = str(path)
    return text if len(text) <= 500 else f"{text[:100]}...{text[-40:]}"


def _is_endless(mode: int) -> bool:
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
