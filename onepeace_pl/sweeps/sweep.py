"""A sweep: check, run, write the table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from onepeace_pl.cli.runs import CONFIG
from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.check import check_commands, direction_of
from onepeace_pl.sweeps.executor import make_executor
from onepeace_pl.sweeps.plot import draw
from onepeace_pl.sweeps.reading import read_plan
from onepeace_pl.sweeps.scheduler import Scheduler
from onepeace_pl.sweeps.search import Grid, MakeGroup, OptunaSearch, Search, samples
from onepeace_pl.sweeps.table import Summary, comma_separated, commands_of, markdown, summarise
from onepeace_pl.sweeps.trial_run import TrialRun
from onepeace_pl.sweeps.trials import TrialGroup, combinations, make_group, sweep_folder
from onepeace_pl.utils.claim import CLAIMS
from onepeace_pl.utils.files import write_text


class Sweep:
    """A sweep that is described by a file.

    Args:
        path: Its YAML.

    Raises:
        UserError: The file can't be right, or the sweep's folder is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.plan = path, read_plan(path)
        self.folder = sweep_folder(self.plan)
        if (self.folder / CONFIG).exists():
            raise UserError(f"'{self.folder}' is the folder of a run; give the sweep another name")
        self._makers: list[MakeGroup] = [
            partial(make_group, self.plan, label, axes) for label, axes in combinations(self.plan)
        ]

    def check(self) -> None:
        """Reject commands that the command line rejects.

        Raises:
            UserError: One would be refused.
        """
        check_commands(self._samples())

    def commands(self) -> list[str]:
        """Return all commands; of an Optuna search those of the ends of its space."""
        return [
            command for group in self._samples() for trial in group.trials for command in commands_of(trial)
        ]

    def run(self, retry_failed: bool = False, take_over: bool = False) -> bool:
        """Run what has not been run, then write the table.

        Args:
            retry_failed: Run again what has failed before.
            take_over: Disregard claims of other hosts.

        Returns:
            Whether every group has all its numbers.
        """
        self.check()
        executor = make_executor(self.plan, self.folder / CLAIMS / "jobs")
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.path, self.folder / "sweep.yaml")
        searches = self._searches()
        for search in searches:
            search.recover(take_over, retry_failed)
        make_run = partial(TrialRun, retry_failed=retry_failed, take_over=take_over)
        scheduler = Scheduler(searches, executor, self.plan.workers, make_run, retry_failed)
        scheduler.run()
        for search in searches:
            search.close()
        complete = self._write([summarise(group, scheduler.notes) for s in searches for group in s.groups()])
        if scheduler.stopped:
            print("stopped by a signal; the same command goes on with what is left")
        return complete and not scheduler.stopped

    def write_table(self) -> bool:
        """Write the table from what is there.

        Returns:
            Whether every group has all its numbers.

        Raises:
            UserError: Nothing is there.
        """
        if not self.folder.is_dir():
            raise UserError(f"no folder '{self.folder}': the sweep has not run yet; leave out --table")
        return self._write([summarise(group) for search in self._searches() for group in search.groups()])

    def _samples(self) -> Iterator[TrialGroup]:
        search = self.plan.search
        for make in self._makers:
            if search is None or search.method == "grid":
                yield from Grid(make, search).groups()
            else:
                yield from map(make, samples(search))

    def _searches(self) -> list[Search]:
        options = self.plan.search
        if options is None or options.method == "grid":
            return [Grid(make, options) for make in self._makers]
        point = next(samples(options))
        return [
            OptunaSearch(make, options, options.direction or direction_of(make(point)), self.folder)
            for make in self._makers
        ]

    def _write(self, summaries: Sequence[Summary]) -> bool:
        table, picture = self.folder / "table.md", self.folder / "table.png"
        drawn = draw(summaries, picture)
        write_text(self.folder / "table.csv", comma_separated(summaries))
        write_text(table, markdown(self.plan.name, summaries, picture.name if drawn else None))
        print(f"table: {table}")
        return all(summary.complete for summary in summaries)
