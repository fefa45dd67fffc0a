"""State of a trial: ``trial.json``, result files, fingerprint of its configs, and the reason of its end."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from onepeace_pl.cli.merge import content_of, family
from onepeace_pl.cli.runs import STOPPED, TRIAL
from onepeace_pl.sweeps.plan import Verb
from onepeace_pl.sweeps.trials import Trial
from onepeace_pl.utils.files import write_text


class Status(StrEnum):
    """Status of a trial."""

    NEW = "not run yet"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    FAILED = "failed"
    CHANGED = "its config has changed since"


@dataclass
class Record:
    """Content of ``trial.json``.

    Attributes:
        fingerprint: Fingerprint of commands and configs.
        failed: It ended with an error.
        error: Why it failed or was interrupted; else empty.
        seconds: Wall-clock time of all attempts.
        attempts: Number of starts, resumptions included.
    """

    fingerprint: str
    failed: bool = False
    error: str = ""
    seconds: float = 0.0
    attempts: int = 0


@dataclass(frozen=True)
class Outcome:
    """Results of a trial.

    Attributes:
        status: Its status.
        error: Why it failed or was interrupted.
        seconds: Wall-clock time of all attempts.
        monitor: Metric that the task monitors, None where it has none.
        mode: ``max`` or ``min``.
        metrics: Name -> value, of all commands.
        references: Metric -> ``chance``, ``baseline`` and ``optimum``, as far as they are known.
        partial: Only a part of an evaluation set was used.
    """

    status: Status
    error: str = ""
    seconds: float = 0.0
    monitor: str | None = None
    mode: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    references: dict[str, dict[str, float]] = field(default_factory=dict)
    partial: bool = False


def read_record(folder: Path) -> Record | None:
    """Return the record in a run folder, None where there is none."""
    content = _read(folder / TRIAL)
    return None if content is None else Record(**content)


def write_record(folder: Path, record: Record) -> None:
    """Write the record atomically."""
    write_text(folder / TRIAL, json.dumps(asdict(record), indent=2) + "\n")


def results_file(folder: Path, verb: Verb) -> Path:
    """Return the path of the results of a finished command."""
    return folder / ("results.json" if verb == "fit" else f"results-{verb}.json")


def status_of(trial: Trial) -> Status:
    """Return the status of a trial, from the files in its folder."""
    record = read_record(trial.folder)
    if record is None:
        return Status.NEW
    if record.fingerprint != fingerprint(trial):
        return Status.CHANGED
    if all(results_file(trial.folder, command.verb).is_file() for command in trial.commands):
        return Status.FINISHED  # also where the sweep was killed before it could take note
    return Status.FAILED if record.failed else Status.UNFINISHED


def read_outcome(trial: Trial) -> Outcome:
    """Read the results of a trial; numbers only where it is finished."""
    status, record = status_of(trial), read_record(trial.folder) or Record("")
    if status is not Status.FINISHED:
        return Outcome(status, record.error, record.seconds)
    monitor: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    references: dict[str, dict[str, float]] = {}
    partial, seconds = False, 0.0
    for command in trial.commands:
        found = _read(results_file(trial.folder, command.verb)) or {}
        monitor = found.get("monitor") or monitor
        metrics |= found.get("metrics", {})
        references |= found.get("references", {})
        partial |= bool(found.get("partial"))
        seconds += found.get("seconds", 0.0)
    name, mode = monitor.get("name"), monitor.get("mode")
    seconds = max(seconds, record.seconds)  # the latter lacks attempts of which the sweep was killed
    return Outcome(status, "", seconds, name, mode, metrics, references, partial)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def fingerprint(trial: Trial) -> str:
    """Return a digest of the commands and of every config file behind them.

    Where the files lie does not matter, nor their comments, nor where the run writes. Not seen are changes of the
    code, of data and of model folders.
    """
    said = [list(_content(command.words, str(trial.folder))) for command in trial.commands]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]


def _content(words: tuple[str, ...], folder: str) -> Iterator[Any]:
    for word in words:
        option, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value.endswith((".yaml", ".yml")) and Path(value).is_file():
            yield [option, *map(content_of, family(Path(value)))]
        elif word != folder:
            yield word


_FROM_OUTSIDE = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGKILL,
)  # others are the run's own doing
_TERMINATED = 128 + signal.SIGTERM
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ERROR = re.compile(r"(?:^|\])error: (.+)")  # a bar of progress may stand in front
_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception)\b")
_NO_NEWS = re.compile(r"note:|W\d{4} |.*Warning: |\[rank: \d+\]|.*it/s\]?$")
_LONGEST = 300  # characters


def why_it_ended(code: int, log: Path, start: int) -> tuple[str, bool]:
    """Return why a run has failed or was interrupted.

    Args:
        code: Exit code of the process; negative: the signal that ended it.
        log: Output of the trial.
        start: Offset of its lines in the log, in bytes.

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
    errors = [found[1] for line in lines if (found := _ERROR.search(line))] if code == 2 else []
    exceptions = [line for line in news if _EXCEPTION.match(line)]  # what follows one may be more of its text
    line = (errors or exceptions or news or [f"exit code {code}, and not a word"])[-1]
    return (line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."), True


def _lines(log: Path, start: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", errors="replace")
    lines = (_CONTROL.sub("", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
