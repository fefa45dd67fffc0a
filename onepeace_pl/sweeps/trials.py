"""Trials and their commands. A trial is a run, labels of the axes, a point of the search space and a seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from onepeace_pl.cli.runs import CHECKPOINTS, RUNS
from onepeace_pl.sweeps.plan import Part, Run, SweepPlan, Verb
from onepeace_pl.utils.files import existing

Point = Mapping[str, object]
"""Dotted option -> value, as chosen by a search."""


@dataclass(frozen=True)
class Command:
    """One command of a trial.

    Attributes:
        verb: ``fit``, ``validate`` or ``test``.
        words: The words after ``python -m onepeace_pl``.
    """

    verb: Verb
    words: tuple[str, ...]

    def words_now(self, folder: Path) -> tuple[str, ...]:
        """Return the words with the checkpoint to resume from or to evaluate, if there is one."""
        names = ("last",) if self.verb == "fit" else ("best", "last")
        given = any(word.startswith("--ckpt_path") for word in self.words)
        found = [] if given else [name for name in names if has_checkpoint(folder, name)]
        return (*self.words, "--ckpt_path", found[0]) if found else self.words


@dataclass(frozen=True)
class Trial:
    """One run folder: one seed of a group.

    Attributes:
        name: The folder's name, the same whenever the plan says the same.
        folder: The run folder.
        seed: The seed.
        commands: In order.
    """

    name: str
    folder: Path
    seed: int
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class TrialGroup:
    """Trials that differ by their seed alone: one line of the table.

    Attributes:
        run: The run's label.
        axes: Axis -> label.
        point: Point of the search space.
        metric: Metric of the table; None for the monitored metric of the task.
        trials: One for each seed.
    """

    run: str
    axes: Mapping[str, str]
    point: Point
    metric: str | None
    trials: tuple[Trial, ...]

    @property
    def label(self) -> str:
        """Run, labels and point in one word."""
        return self.trials[0].name.rpartition(",")[0]


def sweep_folder(plan: SweepPlan) -> Path:
    """Return the folder of a sweep: ``runs/NAME``."""
    return RUNS / plan.name


def combinations(plan: SweepPlan) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every run's label with every combination of the axes' labels."""
    for label in plan.runs:
        for labels in product(*plan.axes.values()):
            yield label, dict(zip(plan.axes, labels, strict=True))


def make_group(plan: SweepPlan, label: str, axes: Mapping[str, str], point: Point) -> TrialGroup:
    """Make the trials of one group.

    Configs come in the order run, common, axes; after them options in the order common, run, axes, point, so
    that what is said more specifically wins.

    Args:
        plan: The sweep.
        label: Label of the run.
        axes: Axis -> label.
        point: Option -> value.
    """
    run = plan.runs[label]
    added = [plan.axes[axis][chosen] for axis, chosen in axes.items()]
    files = [file for part in (run, plan.common, *added) for file in part.config]
    options = {option: value for part in (plan.common, run, *added) for option, value in part.options.items()}
    options |= point
    chosen = [f"{axis}={label}" for axis, label in axes.items()]
    name = ",".join([label, *chosen, *_point_labels(point)])
    seeds = plan.seeds if run.seeds is None else run.seeds
    trials = tuple(_trial(plan, f"{name},seed={seed}", seed, run, files, options) for seed in seeds)
    return TrialGroup(label, axes, point, _metric(plan.common, run, *added), trials)


def has_checkpoint(folder: Path, name: str) -> bool:
    """Whether a run has its ``best`` or ``last`` checkpoint."""
    return existing(folder / CHECKPOINTS / f"{name}.ckpt").exists()


def flag_value(value: object) -> str:
    """Return a value as a flag of the command line gives it."""
    return value if isinstance(value, str) else json.dumps(value)


def _trial(
    plan: SweepPlan, name: str, seed: int, run: Run, files: list[str], options: Mapping[str, object]
) -> Trial:
    folder = sweep_folder(plan) / name
    words = [word for file in files for word in ("--config", file)]
    words += ["--run", str(folder), f"--seed_everything={seed}"]
    words += [f"--{option}={flag_value(value)}" for option, value in options.items()]
    return Trial(name, folder, seed, tuple(Command(verb, (verb, *words)) for verb in run.verbs))


def _metric(*parts: Part) -> str | None:
    return next((part.metric for part in reversed(parts) if part.metric), None)


def _point_labels(point: Point) -> list[str]:
    labels = [f"{_short(option, point)}={_in_folder_name(value)}" for option, value in point.items()]
    if len(",".join(labels)) <= 120:  # file systems allow 255 bytes for a name
        return labels
    return [f"point={_digest(json.dumps(dict(point)))}"]


def _short(option: str, others: Point) -> str:
    """Return as much of the end of a dotted option as tells it from the others."""
    steps = option.split(".")
    for count in range(1, len(steps)):
        end = ".".join(steps[-count:])
        if sum(f".{other}".endswith(f".{end}") for other in others) == 1:
            return end
    return option


def _in_folder_name(value: object) -> str:
    """Shorten a value; where something is lost, a digest tells it from others."""
    text = flag_value(value)
    short = f"{value:.4g}" if isinstance(value, float) else re.sub(r"[^\w.+-]+", "_", Path(text).name)[:24]
    same = short == text or (isinstance(value, float) and float(short) == value)
    return short if same else f"{short}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
