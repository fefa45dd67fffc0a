"""Dataclasses of a sweep's YAML, and their validation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from onepeace_pl.errors import UserError

Verb = Literal["fit", "validate", "test"]
Direction = Literal["minimize", "maximize"]
OptionValue = Any
"""Value of an option: whatever YAML says; the command that takes it checks it."""


@dataclass
class Part:
    """Config files and options of a run.

    Attributes:
        config: One or several config files, relative to the folder of the sweep's file.
        options: Dotted option -> value; a value that names a YAML file is relative to it, too.
        metric: Metric of the table, such as ``val/mean_recall``; by default the one that the task monitors.
    """

    config: str | list[str] = field(default_factory=list)
    options: dict[str, OptionValue] = field(default_factory=dict)
    metric: str | None = None


@dataclass
class Run(Part):
    """A group of the table, or several.

    Attributes:
        verbs: Commands in order. ``validate`` or ``test`` after ``fit`` evaluates its best checkpoint.
        seeds: Instead of the sweep's seeds, for instance one for a deterministic run.
    """

    verbs: list[Verb] = field(default_factory=lambda: ["fit"])
    seeds: list[int] | None = None


@dataclass
class Range:
    """Numeric search range; integers where both ends are.

    Attributes:
        low: Lower end.
        high: Upper end.
        log: Logarithmic scale.
    """

    low: int | float
    high: int | float
    log: bool = False


@dataclass
class SearchOptions:
    """Search space and method.

    Attributes:
        space: Dotted option -> a list of values, or a range.
        method: ``grid``: every combination. ``optuna``: sampled by TPE.
        trials: Number of Optuna trials for every run.
        direction: Direction of the metric; by default that of the task.
        seed: Seed of the sampler.
    """

    space: dict[str, list[OptionValue] | Range]
    method: Literal["grid", "optuna"] = "grid"
    trials: int = 20
    direction: Direction | None = None
    seed: int = 0


@dataclass
class ExecutorOptions:
    """Where trials run.

    Attributes:
        cluster: None: processes of this machine. ``slurm``: one job a trial, through submitit; ``local``: a dry run.
        options: For a cluster: parameters of submitit's ``AutoExecutor``, such as ``timeout_min``.
        gpus: ``CUDA_VISIBLE_DEVICES`` of each worker on this machine, such as ``["0", "1"]``.
    """

    cluster: Literal["slurm", "local"] | None = None
    options: dict[str, OptionValue] = field(default_factory=dict)
    gpus: list[str] = field(default_factory=list)


@dataclass
class SweepPlan:
    """A sweep: runs x axes x search space x seeds.

    Attributes:
        runs: Label -> run.
        axes: Name of a column, such as ``data`` -> label -> config files and options.
        common: Added to every run.
        seeds: Random seeds.
        search: Hyper-parameter search.
        workers: Number of parallel trials.
        executor: Executor of the trials.
        name: Folder under ``runs/``; default: the name of the file.
    """

    runs: dict[str, Run]
    axes: dict[str, dict[str, Part]] = field(default_factory=dict)
    common: Part = field(default_factory=Part)
    seeds: list[int] = field(default_factory=lambda: [0])
    search: SearchOptions | None = None
    workers: int = 1
    executor: ExecutorOptions = field(default_factory=ExecutorOptions)
    name: str = ""

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Yield every part with its key."""
        yield "common", self.common
        yield from ((f"runs.{label}", run) for label, run in self.runs.items())
        for axis, labels in self.axes.items():
            yield from ((f"axes.{axis}.{label}", part) for label, part in labels.items())


_LABEL = re.compile(r"[\w.+-]+")
_COLUMNS = ("run", "seed", "metric", "mean", "std", "seeds", "time", "remarks")
_OWN = {  # options that a sweep gives itself
    "run": "drop it: every run has a folder of its own",
    "config": "write it beside 'options'",
    "seed_everything": "write 'seeds'",
    "print_config": "drop it: see --dry-run",
}
_CHECKPOINT = {
    "ckpt_path": "drop it: a fit goes on from its own checkpoint; to start from another, model.init_from"
}


def check(plan: SweepPlan) -> None:
    """Validate a plan.

    Args:
        plan: Parsed sweep.

    Raises:
        UserError: The key, the problem and the remedy.
    """
    _check_labels("name", [plan.name])
    _check_labels("runs", plan.runs)
    _check_labels("axes", plan.axes)
    for axis, labels in plan.axes.items():
        if axis in _COLUMNS:
            raise UserError(f"axes.{axis}: the table has a column of this name already; rename the axis")
        _check_labels(f"axes.{axis}", labels)
    empty = next((key for key, labels in {"runs": plan.runs, **_axes(plan)}.items() if not labels), None)
    if empty:
        raise UserError(f"{empty} is empty; name at least one")
    _check_seeds("seeds", plan.seeds)
    if plan.workers < 1:
        raise UserError(f"workers {plan.workers}: at least 1 is needed")
    for label, run in plan.runs.items():
        _check_run(f"runs.{label}", run)
    fits = any("fit" in run.verbs for run in plan.runs.values())
    for key, part in plan.parts():
        own = _OWN | _CHECKPOINT if ("fit" in part.verbs if isinstance(part, Run) else fits) else _OWN
        _check_options(f"{key}.options", part.options, own)
    if plan.search:
        _check_search(plan.search)
        _check_options("search.space", plan.search.space, _OWN | _CHECKPOINT)
    if plan.executor.gpus and plan.executor.cluster:
        raise UserError(
            "executor.gpus is for processes of this machine; a cluster takes options.gpus_per_node"
        )
    if plan.executor.gpus and len(plan.executor.gpus) < plan.workers:
        raise UserError(
            f"executor.gpus: {plan.workers} workers need as many entries, not {len(plan.executor.gpus)}"
        )


def _axes(plan: SweepPlan) -> dict[str, Mapping[str, object]]:
    return {f"axes.{axis}": labels for axis, labels in plan.axes.items()}


def _check_labels(key: str, labels: Iterable[str]) -> None:
    wrong = next((label for label in labels if not _LABEL.fullmatch(str(label))), None)
    if wrong is not None:
        raise UserError(f"{key}: '{wrong}' becomes part of a folder's name: letters, digits and . _ + - only")


def _check_seeds(key: str, seeds: list[int]) -> None:
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"{key} {seeds}: name at least one, and each once")


def _check_run(key: str, run: Run) -> None:
    if not run.config:
        raise UserError(f"{key} has no config; name the file that 'fit --config' would take")
    if not run.verbs or len(set(run.verbs)) < len(run.verbs) or "fit" in run.verbs[1:]:
        raise UserError(f"{key}.verbs {run.verbs}: name each once, and fit first")
    if run.seeds is not None:
        _check_seeds(f"{key}.seeds", run.seeds)


def _check_options(key: str, options: Iterable[str], own: Mapping[str, str]) -> None:
    wrong = next((option for option in options if option in own), None)
    if wrong:
        raise UserError(f"{key}: '{wrong}' is set by the sweep; {own[wrong]}")


def _check_search(search: SearchOptions) -> None:
    if not search.space:
        raise UserError("search.space is empty; name an option and its values, or drop 'search'")
    if search.trials < 1:
        raise UserError(f"search.trials {search.trials}: at least 1 is needed")
    for option, values in search.space.items():
        key = f"search.space.{option}"
        if not isinstance(values, Range):
            if not values or len(set(map(str, values))) < len(values):
                raise UserError(f"{key} {values}: name at least one value, and each once")
        elif search.method == "grid":
            raise UserError(f"{key}: a grid needs a list of values; ranges are for 'method: optuna'")
        elif values.low >= values.high:
            raise UserError(f"{key}: low {values.low} must be below high {values.high}")
        elif values.log and values.low <= 0:
            raise UserError(f"{key}: low {values.low} must be above 0 on a logarithmic scale")
