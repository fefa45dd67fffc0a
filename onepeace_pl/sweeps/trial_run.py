"""Execution of one trial: claim it, start or resume its commands, record the outcome."""

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
from typing import IO, TYPE_CHECKING

from onepeace_pl.cli.runs import LOG, TRIAL, first_free
from onepeace_pl.sweeps.record import (
    Record,
    Status,
    fingerprint,
    read_record,
    results_file,
    status_of,
    why_it_ended,
    write_record,
)
from onepeace_pl.sweeps.trials import Command, Trial, has_checkpoint
from onepeace_pl.utils.claim import INHERITED, Claim, claim_file

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

PROGRAM = (sys.executable, "-m", "onepeace_pl")
GRACE = 300.0  # seconds for the step under way and a checkpoint
_GLANCE = 0.2  # seconds


@dataclass(frozen=True)
class Stop:
    """Request to stop all runs.

    Attributes:
        asked: Set: runs write a checkpoint and end.
        at_once: Set: runs are killed.
    """

    asked: Event = field(default_factory=Event)
    at_once: Event = field(default_factory=Event)


@dataclass
class TrialRun:
    """Runs one trial to its end. May be called in a thread, or pickled and called in a job of a cluster.

    Attributes:
        trial: The trial.
        retry_failed: Run it again if it has failed before.
        take_over: Disregard claims of other hosts.
        program: Program that the commands' arguments are passed to.
    """

    trial: Trial
    retry_failed: bool = False
    take_over: bool = False
    program: tuple[str, ...] = field(default_factory=lambda: PROGRAM)

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, stop: Stop | None = None, environment: Mapping[str, str] | None = None) -> str | None:
        """Run what is left of the trial.

        Args:
            stop: Ends the run when it is set.
            environment: Variables for the run, beside those of this process.

        Returns:
            The owner of the trial where another process runs it, else None; the outcome is in its record.
        """
        with claim_of(self.trial, self.take_over) as claim:
            if not claim.held:
                return claim.owner
            status = status_of(self.trial)
            if status is not Status.FINISHED and (self.retry_failed or status is not Status.FAILED):
                _make_room(self.trial, status)
                self._run(claim, stop or Stop(), environment or {})
            return None

    def checkpoint(self, *arguments: object) -> DelayedSubmission:
        """Answer submitit, whose job is about to be taken away: end the run, and come back later."""
        from submitit.helpers import DelayedSubmission

        if self._process:
            _end(self._process, Stop())
        return DelayedSubmission(replace(self), *arguments)

    def _run(self, claim: Claim, stop: Stop, environment: Mapping[str, str]) -> None:
        folder, started = self.trial.folder, time.monotonic()
        record = read_record(folder) or Record(fingerprint(self.trial))
        before = record.seconds
        record.attempts, record.failed, record.error = record.attempts + 1, False, ""
        write_record(folder, record)
        try:
            for command in self.trial.commands:
                if not results_file(folder, command.verb).is_file():
                    self._run_command(command, record, claim, stop, environment)
                if record.error or stop.asked.is_set():
                    break
        finally:
            record.seconds = round(before + time.monotonic() - started, 3)
            write_record(folder, record)

    def _run_command(
        self, command: Command, record: Record, claim: Claim, stop: Stop, environment: Mapping[str, str]
    ) -> None:
        words = command.words_now(self.trial.folder)
        path = self.trial.folder / LOG
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
        if process.returncode == 0 and results_file(self.trial.folder, command.verb).is_file():
            return
        if not stop.asked.is_set():
            record.error, record.failed = why_it_ended(process.returncode, path, start)


def claim_of(trial: Trial, take_over: bool = False) -> Claim:
    """Claim a trial, unless its run is at work, whoever has started that."""
    return Claim(claim_file(trial.folder), take_over)


def _make_room(trial: Trial, status: Status) -> None:
    """Move an older run of another config aside; clear away one of the same that has nothing to go on from."""
    folder = trial.folder
    if status in (Status.NEW, Status.CHANGED):
        if folder.exists():
            folder.rename(first_free(folder))
    elif trial.commands[0].verb == "fit" and not (
        has_checkpoint(folder, "last") or results_file(folder, "fit").is_file()
    ):
        for path in folder.iterdir():
            if path.name not in (LOG, TRIAL):
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
    with suppress(ProcessLookupError, PermissionError):  # no process is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
