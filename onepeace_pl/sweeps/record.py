"""What is known of a cell: ``cell.json`` and the result files in its run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from onepeace_pl.cli.runs import CELL
from onepeace_pl.sweeps.fingerprint import fingerprint
from onepeace_pl.sweeps.plan import Verb
from onepeace_pl.sweeps.trials import Trial
from onepeace_pl.utils.files import write_text


class Status(StrEnum):
    """How far a cell is."""

    NEW = "not run yet"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    FAILED = "failed"
    CHANGED = "its config has changed since"


@dataclass
class Record:
    """Content of ``cell.json``.

    Attributes:
        fingerprint: Of what was run.
        failed: It ended by itself, and not well.
        error: Why it failed, or was cut off; else empty.
        seconds: Wall-clock time of all attempts.
        attempts: How often it was begun or gone on with.
    """

    fingerprint: str
    failed: bool = False
    error: str = ""
    seconds: float = 0.0
    attempts: int = 0


@dataclass(frozen=True)
class Outcome:
    """What has come out of a cell.

    Attributes:
        status: How far it is.
        error: Why it failed, or was cut off.
        seconds: Wall-clock time of all attempts.
        monitor: Name of the metric that the task is judged by, None where it has none.
        mode: ``max`` or ``min``: which values of it are better.
        metrics: Name -> value, of all its commands.
        references: Metric -> ``chance``, ``baseline`` and ``optimum``, as far as they are known.
        partial: Only a part of a set was measured.
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
    content = _read(folder / CELL)
    return None if content is None else Record(**content)


def write_record(folder: Path, record: Record) -> None:
    """Write the record, never half."""
    write_text(folder / CELL, json.dumps(asdict(record), indent=2) + "\n")


def results_file(folder: Path, verb: Verb) -> Path:
    """Return where a command of that verb writes its results when it has come to its end."""
    return folder / ("results.json" if verb == "fit" else f"results-{verb}.json")


def status_of(cell: Trial) -> Status:
    """Say how far a cell is, from what lies in its folder."""
    record = read_record(cell.folder)
    if record is None:
        return Status.NEW
    if record.fingerprint != fingerprint(cell):
        return Status.CHANGED
    if all(results_file(cell.folder, step.verb).is_file() for step in cell.steps):
        return Status.FINISHED  # also where the sweep was killed before it could take note
    return Status.FAILED if record.failed else Status.UNFINISHED


def read_outcome(cell: Trial) -> Outcome:
    """Read what has come out of a cell; numbers only where it is finished."""
    status, record = status_of(cell), read_record(cell.folder) or Record("")
    if status is not Status.FINISHED:
        return Outcome(status, record.error, record.seconds)
    monitor: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    references: dict[str, dict[str, float]] = {}
    partial, seconds = False, 0.0
    for step in cell.steps:
        found = _read(results_file(cell.folder, step.verb)) or {}
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
