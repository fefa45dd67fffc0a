"""Run one cell: claim it, see what is there, start its commands or go on with them, write down what became of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event
from typing import IO, Any

from onepeace_pl.cli.runs import CELL, LOG, first_free
from onepeace_pl.sweeps.fingerprint import fingerprint
from onepeace_pl.sweeps.log import why_it_ended
from onepeace_pl.sweeps.record import Record, Status, read_record, results_file, status_of, write_record
from onepeace_pl.sweeps.trials import Step, Trial, has_checkpoint
from onepeace_pl.utils.claim import INHERITED, Claim, claim_file

PROGRAM = (sys.executable, "-m", "onepeace_pl")
GRACE = 300.0  # seconds for the step under way and a checkpoint
_GLANCE = 0.2  # seconds


@dataclass(frozen=True)
class Stop:
    """A wish that all attempts end.

    Attributes:
        asked: Set: runs are to write a checkpoint and end.
        at_once: Set: they are killed.
    """

    asked: Event = field(default_factory=Event)
    at_once: Event = field(default_factory=Event)


@dataclass
class TrialRun:
    """Brings one cell to its end. May be called in a thread, or pickled and called in a job of a cluster.

    Attributes:
        cell: The cell.
        retry_failed: Run it again if it has failed before.
        take_over: Disregard claims of other hosts.
        program: What the commands' words are given to.
    """

    cell: Trial
    retry_failed: bool = False
    take_over: bool = False
    program: tuple[str, ...] = field(default_factory=lambda: PROGRAM)

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, stop: Stop | None = None, environment: Mapping[str, str] | None = None) -> str | None:
        """Run what is left of the cell.

        Args:
            stop: Ends the attempt when it is set.
            environment: Variables for the run, beside those of this process.

        Returns:
            Who is at work on the cell, if somebody else is; what became of it stands in its record.
        """
        with claim_of(self.cell, self.take_over) as claim:
            if not claim.held:
                return claim.owner
            status = status_of(self.cell)
            if status is not Status.FINISHED and (self.retry_failed or status is not Status.FAILED):
                _make_room(self.cell, status)
                self._run(claim, stop or Stop(), environment or {})
            return None

    def checkpoint(self, *arguments: Any) -> Any:
        """Answer submitit, whose job is about to be taken away: end the run, and come back later."""
        from submitit.helpers import DelayedSubmission

        if self._process:
            _end(self._process, Stop())
        return DelayedSubmission(replace(self), *arguments)

    def _run(self, claim: Claim, stop: Stop, environment: Mapping[str, str]) -> None:
        folder, started = self.cell.folder, time.monotonic()
        record = read_record(folder) or Record(fingerprint(self.cell))
        before = record.seconds
        record.attempts, record.failed, record.error = record.attempts + 1, False, ""
        write_record(folder, record)
        try:
            for step in self.cell.steps:
                if not results_file(folder, step.verb).is_file():
                    self._run_step(step, record, claim, stop, environment)
                if record.error or stop.asked.is_set():
                    break
        finally:
            record.seconds = round(before + time.monotonic() - started, 3)
            write_record(folder, record)

    def _run_step(
        self, step: Step, record: Record, claim: Claim, stop: Stop, environment: Mapping[str, str]
    ) -> None:
        words = step.words_now(self.cell.folder)
        path = self.cell.folder / LOG
        with path.open("ab") as log:
            log.write(f"$ python -m onepeace_pl {' '.join(words)}\n".encode())
            log.flush()
            start = log.tell()
            self._process = process = _start([*self.program, *words], log, claim, environment)
            try:
                while not stop.asked.is_set():
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_GLANCE)
                        break
            finally:
                _end(process, stop)
        if process.returncode == 0 and results_file(self.cell.folder, step.verb).is_file():
            return
        if not stop.asked.is_set():
            record.error, record.failed = why_it_ended(process.returncode, path, start)


def claim_of(cell: Trial, take_over: bool = False) -> Claim:
    """Claim a cell, unless its run is at work, whoever has started that."""
    return Claim(claim_file(cell.folder), take_over)


def _make_room(cell: Trial, status: Status) -> None:
    """Move an older run of another config aside; clear away one of the same that has nothing to go on from."""
    folder = cell.folder
    if status in (Status.NEW, Status.CHANGED):
        if folder.exists():
            folder.rename(first_free(folder))
    elif cell.steps[0].verb == "fit" and not (
        has_checkpoint(folder, "last") or results_file(folder, "fit").is_file()
    ):
        for path in folder.iterdir():
            if path.name not in (LOG, CELL):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _start(
    command: list[str], log: IO[bytes], claim: Claim, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    # the sweep starts the processes of a run, not srun, of which Lightning would think when it saw these
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    leash = [sys.executable, "-m", "onepeace_pl.sweeps.leash", str(os.getpid())]
    return subprocess.Popen(
        [*leash, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**inherited, **environment, INHERITED: str(claim.path)},
        start_new_session=True,  # Ctrl+C reaches the sweep alone, which then ends its runs
        pass_fds=[claim.file],
    )


def _end(process: subprocess.Popen[bytes], stop: Stop) -> None:
    """End a run with all its processes: SIGTERM to the first, which tells the others, and time for a checkpoint."""
    deadline = time.monotonic() + GRACE
    if process.poll() is None:
        process.terminate()
    while process.poll() is None and time.monotonic() < deadline and not stop.at_once.is_set():
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GLANCE)
    with suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
