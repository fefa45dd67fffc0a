"""The table of a sweep: mean and standard deviation over seeds, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from onepeace_pl.cli.runs import CONFIG, LOG
from onepeace_pl.errors import nearest
from onepeace_pl.sweeps.record import Outcome, Status, read_outcome
from onepeace_pl.sweeps.trials import Trial, TrialGroup, flag_value


@dataclass(frozen=True)
class Summary:
    """Results of a group.

    Attributes:
        group: The trials.
        outcomes: One for each trial, in order.
        metric: Name of the metric; None where there is none.
        mode: ``max`` or ``min`` where the metric is the task's own, else None.
        values: Values of the finished seeds.
        references: Kind (``chance``, ``baseline``, ``optimum``) -> mean over the finished seeds.
        remarks: Missing values, and why.
    """

    group: TrialGroup
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


def summarise(group: TrialGroup, notes: Mapping[str, str] | None = None) -> Summary:
    """Aggregate the results of a group over its seeds.

    Args:
        group: The trials.
        notes: Name of a trial -> what happened to it beside what stands in its folder.
    """
    outcomes = tuple(map(read_outcome, group.trials))
    finished = [outcome for outcome in outcomes if outcome.status is Status.FINISHED]
    metric = group.metric or next((outcome.monitor for outcome in finished if outcome.monitor), None)
    mode = next((outcome.mode for outcome in finished if outcome.monitor == metric), None)
    found = [outcome for outcome in finished if metric in outcome.metrics]
    compared = [outcome.references.get(metric or "", {}) for outcome in found]
    references = {
        kind: fmean(each[kind] for each in compared)
        for kind in (compared[0] if compared else {})
        if all(kind in each for each in compared)
    }
    remarks = [
        f"seed {trial.seed}: {_reason(outcome, metric, (notes or {}).get(trial.name, ''))}"
        for trial, outcome in zip(group.trials, outcomes, strict=True)
        if outcome not in found
    ]
    if any(outcome.partial for outcome in found):
        remarks.append("measured on a part of the data only")
    values = tuple(outcome.metrics[metric] for outcome in found if metric)
    return Summary(group, outcomes, metric, mode, values, references, tuple(remarks))


def duration(seconds: float) -> str:
    """Format a duration."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _reason(outcome: Outcome, metric: str | None, note: str) -> str:
    if outcome.status is not Status.FINISHED:
        return ": ".join(filter(None, (str(outcome.status), outcome.error or note)))
    if metric is None:
        return "its task names no metric; add 'metric' to the sweep, one of: " + ", ".join(outcome.metrics)
    hint = nearest(metric, outcome.metrics) if outcome.metrics else "it logs nothing at all"
    return f"it logs no '{metric}'; {hint} Change 'metric' and run with --table"


KINDS = ("chance", "baseline", "optimum")


def best_of(summaries: Sequence[Summary]) -> set[str]:
    """Return the labels of the best complete rows, one for each run with its labels, where points were tried out."""
    best: dict[tuple[str, ...], Summary] = {}
    for summary in summaries:
        if summary.mean is None or not summary.complete or not summary.group.point or summary.mode is None:
            continue
        key = (summary.group.run, *summary.group.axes.values())
        sign = 1 if summary.mode == "max" else -1
        if key not in best or sign * summary.mean > sign * (best[key].mean or 0):
            best[key] = summary
    return {summary.group.label for summary in best.values()}


def markdown(name: str, summaries: Sequence[Summary], picture: str | None) -> str:
    """Return the page: the table, and below it every run's command, config, time and log.

    Args:
        name: The sweep's.
        summaries: Its rows.
        picture: File name of the plot beside the page, if there is one.
    """
    best = best_of(summaries)
    head, rows = _lines_of(summaries, plain=False)
    for row, summary in zip(rows, summaries, strict=True):
        if summary.group.label in best:
            row[0] = f"**{row[0]}**"
    parts = [f"# {name}\n", _table(_without_empty(head, rows))]
    parts.append(
        "Mean and standard deviation over the seeds, of the last evaluation. Time: wall clock, of one run"
        + (". **Bold**: the best of those tried out" if best else "")
        + ".\n"
    )
    parts += [f"![mean and deviation]({picture})\n"] if picture else []
    parts.append("## Runs\n")
    for summary in summaries:
        for trial, outcome in zip(summary.group.trials, summary.outcomes, strict=True):
            parts.append(_run_section(trial, outcome))
    return "\n".join(parts)


def comma_separated(summaries: Sequence[Summary]) -> str:
    """Return the table as CSV: numbers in full, time in seconds, configs and commands of every seed."""
    head, rows = _lines_of(summaries, plain=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, "best", "configs", "commands"])
    best = best_of(summaries)
    for row, summary in zip(rows, summaries, strict=True):
        trials = summary.group.trials
        commands = "\n".join(command for trial in trials for command in commands_of(trial))
        configs = "\n".join(dict.fromkeys(file for trial in trials for file in config_files(trial)))
        writer.writerow([*row, int(summary.group.label in best), configs, commands])
    return text.getvalue()


def commands_of(trial: Trial) -> list[str]:
    """Return the commands of a trial as one would type them, a fit from its beginning."""
    said = (
        command.words if command.verb == "fit" else command.words_now(trial.folder)
        for command in trial.commands
    )
    return [shlex.join(["python", "-m", "onepeace_pl", *words]) for words in said]


def config_files(trial: Trial) -> list[str]:
    """Return the config files that a trial names."""
    words = trial.commands[0].words
    return [value for option, value in pairwise(words) if option == "--config"]


def _lines_of(summaries: Sequence[Summary], plain: bool) -> tuple[list[str], list[list[str]]]:
    axes = list(dict.fromkeys(axis for s in summaries for axis in s.group.axes))
    options = list(dict.fromkeys(option for s in summaries for option in s.group.point))
    head = [
        "run",
        *axes,
        *options,
        "metric",
        "mean",
        "std",
        "seeds",
        *KINDS,
        "seconds" if plain else "time",
        "remarks",
    ]
    return head, [_row(summary, axes, options, plain) for summary in summaries]


def _row(summary: Summary, axes: Iterable[str], options: Iterable[str], plain: bool) -> list[str]:
    group = summary.group
    number = _plain if plain else _rounded
    seconds = summary.seconds
    time = "" if seconds is None else f"{seconds:.1f}" if plain else duration(seconds)
    count = f"{len(summary.values)}" + ("" if plain or summary.complete else f" of {len(summary.outcomes)}")
    return [
        group.run,
        *(group.axes.get(axis, "") for axis in axes),
        *(_value(group.point, option, plain) for option in options),
        summary.metric or "",
        *(number(value) for value in (summary.mean, summary.std)),
        count,
        *(number(summary.references.get(kind)) for kind in KINDS),
        time,
        "; ".join(summary.remarks),
    ]


def _value(point: Mapping[str, object], option: str, plain: bool) -> str:
    if option not in point:
        return ""
    value = point[option]
    return f"{value:.4g}" if isinstance(value, float) and not plain else flag_value(value)


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"


def _plain(value: float | None) -> str:
    return "" if value is None else repr(value)


def _without_empty(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Leave out columns in which nothing stands."""
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    return [[line[at] for at in kept] for line in (head, *rows)]


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *rows = lines
    marks = ["---:" if name in ("mean", "std", "seeds", "time", *KINDS) else "---" for name in head]
    return (
        "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in (head, marks, *rows))
        + "\n"
    )


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _run_section(trial: Trial, outcome: Outcome) -> str:
    links = [
        f"[{name}]({trial.name}/{name})"
        for name in (CONFIG, "report.md", LOG)
        if (trial.folder / name).is_file()
    ]
    time = duration(outcome.seconds) if outcome.seconds else ""
    details = ", ".join(filter(None, (str(outcome.status), time, *links)))
    lines = [f"**{trial.name}**: {details}\n"]
    if outcome.status is not Status.FINISHED and outcome.error:
        lines.append(f"error: `{outcome.error}`\n")
    return "\n".join([*lines, "```", *commands_of(trial), "```", ""])
