"""Executors: local processes, or cluster jobs through submitit."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.plan import SweepPlan
from onepeace_pl.sweeps.trial_run import Stop, TrialRun


class Job(Protocol):
    """A submitted trial run."""

    def done(self) -> bool:
        """Whether it has ended."""

    def result(self) -> str | None:
        """Return who else runs its trial, if anyone; raises the error of the job itself."""


class Executor(Protocol):
    """Runs trials.

    Attributes:
        patience: Seconds before a trial that another process runs is tried again.
    """

    patience: float

    def submit(self, run: TrialRun) -> Job:
        """Submit a run."""

    def stop(self, at_once: bool) -> None:
        """Stop all submitted runs."""


class Processes:
    """Processes of this machine.

    Args:
        plan: Number of workers, and their GPUs.
    """

    patience = 1.0

    def __init__(self, plan: SweepPlan) -> None:
        self._stop = Stop()
        self._threads = ThreadPoolExecutor(plan.workers)
        self._gpus: SimpleQueue[str] = SimpleQueue()
        for gpu in plan.executor.gpus:
            self._gpus.put(gpu)
        # by default PyTorch uses all cores in each process
        share = max(1, (os.cpu_count() or 1) // plan.workers)
        self._threads_each = {} if plan.workers == 1 else {"OMP_NUM_THREADS": str(share)}

    def submit(self, run: TrialRun) -> Job:
        """Start a run, or queue it for a free thread."""
        return self._threads.submit(self._run, run)

    def stop(self, at_once: bool) -> None:
        """Stop runs after a checkpoint, or kill them."""
        self._stop.asked.set()
        if at_once:
            self._stop.at_once.set()

    def _run(self, run: TrialRun) -> str | None:
        environment = {} if "OMP_NUM_THREADS" in os.environ else dict(self._threads_each)
        if self._gpus.empty():  # no more threads than GPUs, so only where none are named
            return run(self._stop, environment)
        gpu = self._gpus.get()
        try:
            return run(self._stop, environment | {"CUDA_VISIBLE_DEVICES": gpu})
        finally:
            self._gpus.put(gpu)


class Cluster:
    """Jobs of a cluster, through submitit.

    Args:
        plan: Cluster and parameters of its jobs.
        folder: For submitit's own files.

    Raises:
        UserError: submitit is missing, refuses a parameter, or finds no cluster.
    """

    patience = 30.0

    def __init__(self, plan: SweepPlan, folder: Path) -> None:
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

    def submit(self, run: TrialRun) -> Job:
        """Hand a job to the cluster."""
        job: Any = self._executor.submit(run)
        self._jobs.append(job)
        return job  # type: ignore[no-any-return]

    def stop(self, at_once: bool) -> None:
        """Cancel all jobs; each ends its run."""
        for job in self._jobs:
            if not job.done():
                job.cancel()


def make_executor(plan: SweepPlan, folder: Path) -> Executor:
    """Make the executor of a plan; ``folder`` is for submitit's own files."""
    return Processes(plan) if plan.executor.cluster is None else Cluster(plan, folder)


def missing(key: str, package: str) -> str:
    """Return the error message for a missing optional package."""
    return f"{key} needs {package}: pip install 'onepeace-pl[sweep]'"
