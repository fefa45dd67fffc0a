"""The table of a sweep, for people (``table.md``) and for programs (``table.csv``)."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from onepeace_pl.cli.runs import CONFIG, LOG
from onepeace_pl.sweeps.record import Outcome, Status
from onepeace_pl.sweeps.summary import Summary, duration
from onepeace_pl.sweeps.trials import Trial, flag_value

KINDS = ("chance", "baseline", "optimum")


def best_of(summaries: Sequence[Summary]) -> set[str]:
    """Return the labels of the best complete rows, one for each run with its labels, where points were tried out."""
    best: dict[tuple[str, ...], Summary] = {}
    for summary in summaries:
        if summary.mean is None or not summary.complete or not summary.row.point or summary.mode is None:
            continue
        key = (summary.row.run, *summary.row.axes.values())
        sign = 1 if summary.mode == "max" else -1
        if key not in best or sign * summary.mean > sign * (best[key].mean or 0):
            best[key] = summary
    return {summary.row.label for summary in best.values()}


def markdown(name: str, summaries: Sequence[Summary], picture: str | None) -> str:
    """Return the page: the table, and below it every run's command, config, time and log.

    Args:
        name: The sweep's.
        summaries: Its rows.
        picture: File name of the plot beside the page, if there is one.
    """
    best = best_of(summaries)
    head, rows = _cells_of(summaries, plain=False)
    for row, summary in zip(rows, summaries, strict=True):
        if summary.row.label in best:
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
        for cell, outcome in zip(summary.row.cells, summary.outcomes, strict=True):
            parts.append(_run_section(cell, outcome))
    return "\n".join(parts)


def comma_separated(summaries: Sequence[Summary]) -> str:
    """Return the table as CSV: numbers in full, time in seconds, configs and commands of every seed."""
    head, rows = _cells_of(summaries, plain=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, "best", "configs", "commands"])
    best = best_of(summaries)
    for row, summary in zip(rows, summaries, strict=True):
        cells = summary.row.cells
        commands = "\n".join(command for cell in cells for command in commands_of(cell))
        configs = "\n".join(dict.fromkeys(file for cell in cells for file in config_files(cell)))
        writer.writerow([*row, int(summary.row.label in best), configs, commands])
    return text.getvalue()


def commands_of(cell: Trial) -> list[str]:
    """Return the commands of a cell as one would type them, a fit from its beginning."""
    said = (step.words if step.verb == "fit" else step.words_now(cell.folder) for step in cell.steps)
    return [shlex.join(["python", "-m", "onepeace_pl", *words]) for words in said]


def config_files(cell: Trial) -> list[str]:
    """Return the config files that a cell names."""
    words = cell.steps[0].words
    return [value for option, value in pairwise(words) if option == "--config"]


def _cells_of(summaries: Sequence[Summary], plain: bool) -> tuple[list[str], list[list[str]]]:
    axes = list(dict.fromkeys(axis for s in summaries for axis in s.row.axes))
    options = list(dict.fromkeys(option for s in summaries for option in s.row.point))
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
    row = summary.row
    number = _plain if plain else _short
    seconds = summary.seconds
    time = "" if seconds is None else f"{seconds:.1f}" if plain else duration(seconds)
    count = f"{len(summary.values)}" + ("" if plain or summary.complete else f" of {len(summary.outcomes)}")
    return [
        row.run,
        *(row.axes.get(axis, "") for axis in axes),
        *(_value(row.point, option, plain) for option in options),
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


def _short(value: float | None) -> str:
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


def _run_section(cell: Trial, outcome: Outcome) -> str:
    links = [
        f"[{name}]({cell.name}/{name})"
        for name in (CONFIG, "report.md", LOG)
        if (cell.folder / name).is_file()
    ]
    time = duration(outcome.seconds) if outcome.seconds else ""
    details = ", ".join(filter(None, (str(outcome.status), time, *links)))
    lines = [f"**{cell.name}**: {details}\n"]
    if outcome.status is not Status.FINISHED and outcome.error:
        lines.append(f"error: `{outcome.error}`\n")
    return "\n".join([*lines, "```", *commands_of(cell), "```", ""])
