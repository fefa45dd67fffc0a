"""Files that can be read to their end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def require_regular(path: str | Path) -> None:
    """Refuse what is neither a file nor a folder: a pipe keeps its reader waiting, a device never ends.

    Raises:
        OSError: The path is missing, or such a thing.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def shown_path(path: str | Path) -> str:
    """Return a path for a message; a very long one, which is a text or a picture by mistake, is shortened."""
    text = str(path)
    return text if len(text) <= 500 else f"{text[:100]}...{text[-40:]}"
