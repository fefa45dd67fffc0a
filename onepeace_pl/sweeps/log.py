"""Why a run has ended, from its exit code and its log."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from onepeace_pl.cli.runs import STOPPED

_FROM_OUTSIDE = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGKILL,
)  # others are the run's own doing
_TERMINATED = 128 + signal.SIGTERM
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_REFUSAL = re.compile(r"(?:^|\])error: (.+)")  # a bar of progress may stand in front
_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception)\b")
_NO_NEWS = re.compile(r"note:|W\d{4} |.*Warning: |\[rank: \d+\]|.*it/s\]?$")
_LONGEST = 300  # characters


def why_it_ended(code: int, log: Path, start: int) -> tuple[str, bool]:
    """Tell why a run has not come to a good end.

    Args:
        code: Exit code of the process; negative: the signal that ended it.
        log: What it printed.
        start: Where in the log its lines begin, bytes.

    Returns:
        One line, and whether the run has failed; else it was cut off and can go on.
    """
    if code < 0:
        return f"ended by {signal.Signals(-code).name}", -code not in _FROM_OUTSIDE
    lines = _lines(log, start)
    if code == _TERMINATED or STOPPED in lines[-3:]:
        return STOPPED, False
    if code == 0:
        return "it ended well but left no results; is trainer.fast_dev_run set?", True
    news = [line for line in lines if not _NO_NEWS.match(line)]
    refusals = [found[1] for line in lines if (found := _REFUSAL.search(line))] if code == 2 else []
    exceptions = [line for line in news if _EXCEPTION.match(line)]  # what follows one may be more of its text
    line = (refusals or exceptions or news or [f"exit code {code}, and not a word"])[-1]
    return (line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."), True


def _lines(log: Path, start: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", errors="replace")
    lines = (_CONTROL.sub("", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
