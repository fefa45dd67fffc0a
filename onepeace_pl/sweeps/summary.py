"""Numbers of a row: mean and standard deviation over the seeds, beside chance and optimum, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from onepeace_pl.errors import nearest
from onepeace_pl.sweeps.record import Outcome, Status, read_outcome
from onepeace_pl.sweeps.trials import Row


@dataclass(frozen=True)
class Summary:
    """A row and what came of it.

    Attributes:
        row: The row.
        outcomes: One a cell, in their order.
        metric: Name of what is shown; None where nobody says any.
        mode: ``max`` or ``min`` where the metric is the task's own, else None.
        values: Of the finished seeds.
        references: Kind (``chance``, ``baseline``, ``optimum``) -> mean over the finished seeds.
        remarks: What is missing, and why.
    """

    row: Row
    outcomes: tuple[Outcome, ...]
    metric: str | None
    mode: str | None
    values: tuple[float, ...]
    references: Mapping[str, float]
    remarks: tuple[str, ...]

    @property
    def mean(self) -> float | None:
        """Mean over the finished seeds."""
        return fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Standard deviation of one seed (the sample's, n - 1); None below two."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def complete(self) -> bool:
        """Whether every seed has its value."""
        return len(self.values) == len(self.outcomes)

    @property
    def seconds(self) -> float | None:
        """Mean wall-clock time of the finished seeds."""
        times = [outcome.seconds for outcome in self.outcomes if outcome.status is Status.FINISHED]
        return fmean(times) if times else None


def summarise(row: Row, notes: Mapping[str, str] | None = None) -> Summary:
    """Read what has come of a row.

    Args:
        row: The row.
        notes: Name of a cell -> what happened to it beside what stands in its folder.
    """
    outcomes = tuple(map(read_outcome, row.cells))
    finished = [outcome for outcome in outcomes if outcome.status is Status.FINISHED]
    metric = row.metric or next((outcome.monitor for outcome in finished if outcome.monitor), None)
    mode = next((outcome.mode for outcome in finished if outcome.monitor == metric), None)
    found = [outcome for outcome in finished if metric in outcome.metrics]
    compared = [outcome.references.get(metric or "", {}) for outcome in found]
    references = {
        kind: fmean(each[kind] for each in compared)
        for kind in (compared[0] if compared else {})
        if all(kind in each for each in compared)
    }
    remarks = [
        f"seed {cell.seed}: {_what_happened(outcome, metric, (notes or {}).get(cell.name, ''))}"
        for cell, outcome in zip(row.cells, outcomes, strict=True)
        if outcome not in found
    ]
    if any(outcome.partial for outcome in found):
        remarks.append("measured on a part of the data only")
    values = tuple(outcome.metrics[metric] for outcome in found if metric)
    return Summary(row, outcomes, metric, mode, values, references, tuple(remarks))


def duration(seconds: float) -> str:
    """Write a time for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _what_happened(outcome: Outcome, metric: str | None, note: str) -> str:
    if outcome.status is not Status.FINISHED:
        return ": ".join(filter(None, (str(outcome.status), outcome.error or note)))
    if metric is None:
        return "its task names no metric; add 'metric' to the sweep, one of: " + ", ".join(outcome.metrics)
    hint = nearest(metric, outcome.metrics) if outcome.metrics else "it logs nothing at all"
    return f"it logs no '{metric}'; {hint} Change 'metric' and run with --table"
