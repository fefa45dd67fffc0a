"""Where attempts run: threads that start processes of this machine, or jobs of a cluster through submitit."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.plan import Plan
from onepeace_pl.sweeps.trial_run import Stop, TrialRun


class Job(Protocol):
    """An attempt that has been handed out."""

    def done(self) -> bool:
        """Say whether it has ended."""

    def result(self) -> str | None:
        """Return who else is at work on its cell, or raise what went wrong with the job itself."""


class Executor(Protocol):
    """Hands out attempts.

    Attributes:
        patience: Seconds until a cell on which somebody else is at work is asked for again.
    """

    patience: float

    def submit(self, attempt: TrialRun) -> Job:
        """Hand out an attempt."""

    def stop(self, at_once: bool) -> None:
        """End what is handed out."""


class Processes:
    """Processes of this machine.

    Args:
        plan: How many at a time, and which GPUs each sees.
    """

    patience = 1.0

    def __init__(self, plan: Plan) -> None:
        self._stop = Stop()
        self._threads = ThreadPoolExecutor(plan.workers)
        self._gpus: SimpleQueue[str] = SimpleQueue()
        for gpu in plan.executor.gpus:
            self._gpus.put(gpu)
        # PyTorch takes all cores for each process, unless told otherwise
        share = max(1, (os.cpu_count() or 1) // plan.workers)
        self._threads_each = {} if plan.workers == 1 else {"OMP_NUM_THREADS": str(share)}

    def submit(self, attempt: TrialRun) -> Job:
        """Start an attempt, or let it wait for a free thread."""
        return self._threads.submit(self._run, attempt)

    def stop(self, at_once: bool) -> None:
        """Let runs write their checkpoint and end; or kill them."""
        self._stop.asked.set()
        if at_once:
            self._stop.at_once.set()

    def _run(self, attempt: TrialRun) -> str | None:
        environment = {} if "OMP_NUM_THREADS" in os.environ else dict(self._threads_each)
        if self._gpus.empty():  # no more threads than GPUs, so only where none are named
            return attempt(self._stop, environment)
        gpu = self._gpus.get()
        try:
            return attempt(self._stop, environment | {"CUDA_VISIBLE_DEVICES": gpu})
        finally:
            self._gpus.put(gpu)


class Cluster:
    """Jobs of a cluster, through submitit.

    Args:
        plan: Which cluster, and the parameters of its jobs.
        folder: For submitit's own files.

    Raises:
        UserError: submitit is missing, refuses a parameter, or finds no cluster.
    """

    patience = 30.0

    def __init__(self, plan: Plan, folder: Path) -> None:
        try:
            import submitit
        except ImportError:
            raise UserError(missing("executor.cluster", "submitit")) from None
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=plan.executor.cluster)
            self._executor.update_parameters(name=plan.name, **plan.executor.options)
        except (NameError, RuntimeError, ValueError, AssertionError) as error:
            raise UserError(f"executor: {' '.join(str(error).split())}") from None
        self._jobs: list[Any] = []

    def submit(self, attempt: TrialRun) -> Job:
        """Hand a job to the cluster."""
        job: Any = self._executor.submit(attempt)
        self._jobs.append(job)
        return job  # type: ignore[no-any-return]

    def stop(self, at_once: bool) -> None:
        """Cancel all jobs; each ends its run."""
        for job in self._jobs:
            if not job.done():
                job.cancel()


def make_executor(plan: Plan, folder: Path) -> Executor:
    """Return what the plan asks for; ``folder`` is for submitit's own files."""
    return Processes(plan) if plan.executor.cluster is None else Cluster(plan, folder)


def missing(key: str, package: str) -> str:
    """Say that an optional package is missing."""
    return f"{key} needs {package}: pip install 'onepeace-pl[sweep]'"
