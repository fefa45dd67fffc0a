"""Main loop of a sweep: keep the workers busy, collect finished trials, stop on a signal."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from onepeace_pl.sweeps.executor import Executor, Job
from onepeace_pl.sweeps.record import Status, read_outcome, status_of
from onepeace_pl.sweeps.search import Search
from onepeace_pl.sweeps.table import duration, summarise
from onepeace_pl.sweeps.trial_run import TrialRun
from onepeace_pl.sweeps.trials import Trial, TrialGroup
from onepeace_pl.utils.claim import HOST

_GLANCE = 0.1  # seconds


class Scheduler:
    """Runs the groups that searches choose.

    Args:
        searches: Asked in this order.
        executor: Executor of the trials.
        workers: Number of concurrent trials.
        make_run: Makes the run of a trial.
        retry_failed: Cells that failed before are run again.

    Attributes:
        notes: Name of a trial -> what happened to its job, where that stands nowhere else.
        stopped: Whether a signal has ended the sweep.
    """

    def __init__(
        self,
        searches: Sequence[Search],
        executor: Executor,
        workers: int,
        make_run: Callable[[Trial], TrialRun] = TrialRun,
        retry_failed: bool = False,
    ) -> None:
        self.notes: dict[str, str] = {}
        self._searches, self._executor, self._workers = searches, executor, workers
        self._make_run, self._retry_failed = make_run, retry_failed
        self._open: dict[str, tuple[Search, TrialGroup]] = {}
        self._waiting: deque[Trial] = deque()
        self._elsewhere: dict[str, tuple[float, Trial]] = {}  # trials of others, with when to ask again
        self._jobs: dict[str, tuple[Trial, Job]] = {}
        self._done = 0
        self._signals = 0

    @property
    def stopped(self) -> bool:
        """Whether a signal has ended the sweep."""
        return self._signals > 0

    def run(self) -> None:
        """Run until nothing is left to do, or a signal comes; the runs have ended when this returns."""
        with self._listening():
            heard = 0
            while self._refill() or self._jobs or self._elsewhere:
                if self._signals > heard:
                    heard = self._signals
                    self._stop()
                time.sleep(_GLANCE)
                self._collect()
                self._close_groups()

    def _refill(self) -> bool:
        """Give free workers something to do; say whether anything waits for one."""
        while not self.stopped and len(self._jobs) < self._workers:
            trial = self._next_trial()
            if trial is None:
                break
            self._jobs[trial.name] = trial, self._executor.submit(self._make_run(trial))
        return bool(self._waiting)

    def _next_trial(self) -> Trial | None:
        due = [name for name, (when, _) in self._elsewhere.items() if when <= time.monotonic()]
        if due:
            return self._elsewhere.pop(due[0])[1]
        while not self._waiting:
            found = next(((search, group) for search in self._searches if (group := search.next())), None)
            if found is None:
                return None
            self._take_in(*found)
        return self._waiting.popleft()

    def _take_in(self, search: Search, group: TrialGroup) -> None:
        """Open a group, and leave out those of its trials that are done."""
        self._open[group.label] = search, group
        for trial in group.trials:
            status = status_of(trial)
            if status is Status.FINISHED or (status is Status.FAILED and not self._retry_failed):
                self._report(trial, "already ")
            elif trial not in self._waiting and trial.name not in {*self._jobs, *self._elsewhere}:
                if status is Status.CHANGED:
                    print(f"{trial.name}: {status}; it runs again, the old run is renamed", flush=True)
                self._waiting.append(trial)
        self._close_groups()

    def _collect(self) -> None:
        for name, (trial, job) in list(self._jobs.items()):
            if not job.done():
                continue
            del self._jobs[name]
            try:
                holder = job.result()
            except Exception as error:  # of the job itself, such as a node that went down
                self.notes[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                holder = None
            if holder is None:
                self._report(trial)
            elif not self.stopped:
                if name not in self.notes:
                    hint = "" if holder.startswith(f"{HOST} ") else "; if that is gone, add --take-over"
                    print(f"{name}: {holder} is at work on it{hint}", flush=True)
                    self.notes[name] = f"{holder} is at work on it"
                self._elsewhere[name] = time.monotonic() + self._executor.patience, trial

    def _close_groups(self) -> None:
        """Report finished groups to their searches."""
        busy = {*self._jobs, *self._elsewhere, *(trial.name for trial in self._waiting)}
        for label, (search, group) in list(self._open.items()):
            if self.stopped or any(trial.name in busy for trial in group.trials):
                continue
            del self._open[label]
            summary = summarise(group)
            search.tell(group, summary.mean if summary.complete else None)

    def _report(self, trial: Trial, how: str = "") -> None:
        outcome = read_outcome(trial)
        if how or outcome.status in (Status.FINISHED, Status.FAILED):
            self._done += 1
        total = sum(search.trials() for search in self._searches)
        value = outcome.metrics.get(outcome.monitor or "")
        number = "" if value is None else f", {outcome.monitor} {value:.4g}"
        said = outcome.error or self.notes.get(trial.name, "")
        print(
            f"[{self._done}/{total}] {trial.name}: {how}{outcome.status}"
            f" ({duration(outcome.seconds)}){number}{': ' + said if said else ''}",
            flush=True,
        )

    def _stop(self) -> None:
        if self._signals == 1:
            print("stopping: runs write their checkpoints; a second signal kills them", flush=True)
        self._waiting.clear()
        self._elsewhere.clear()
        self._executor.stop(at_once=self._signals > 1)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
