"""Lock of a folder that is released when the processes that hold it end, however they end.

A run of ``fit`` claims its folder, a sweep those of its trials; the lock file lies beside the folder, which may move.

The lock is the kernel's, on a file that also says host and process. A run inherits it, so that a trial whose sweep
was killed stays claimed until its run has ended, too. Across hosts locks are not to be relied on (some shared file
systems keep them to one host), so a claim of another host is believed until it is given up, or ``take_over``.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

HOST = socket.gethostname()
CLAIMS = ".claims"
INHERITED = "ONEPEACE_PL_CLAIM"  # variable of a process that shares the claim of the one that has started it


def claim_file(folder: Path) -> Path:
    """Return the file that stands for the run in ``folder``."""
    folder = Path(os.path.abspath(folder))
    return folder.parent / CLAIMS / folder.name


class Claim:
    """A claim on the thing that a file stands for. Use it in a ``with`` statement, or call :meth:`give_up`.

    Args:
        path: The file; made where there is none, and left there, empty, when the claim is given up.
        take_over: Disregard claims of other hosts.

    Attributes:
        path: The file.
        held: Whether the claim is ours.
        owner: Who holds it, for people.
    """

    def __init__(self, path: Path, take_over: bool = False) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        locked = self._lock()
        said = os.read(self._file, 1000).decode()
        self.held = locked and (take_over or not said or said.split()[0] == HOST)
        if self.held:
            said = f"{HOST} (process {os.getpid()})"
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, said.encode(), 0)
        else:
            os.close(self._file)
        self.owner = said or "another process"

    @property
    def file(self) -> int:
        """File descriptor for a process that is to share the claim."""
        return self._file

    def give_up(self) -> None:
        """Let others have it."""
        if self.held:
            self.held = False
            os.ftruncate(self._file, 0)
            os.close(self._file)

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
