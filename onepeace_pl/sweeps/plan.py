"""What a sweep's YAML says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Verb = Literal["fit", "validate", "test"]
Direction = Literal["minimize", "maximize"]


@dataclass
class Part:
    """What is added to a command of ``fit``.

    Attributes:
        config: A config file or several, seen from the folder of the sweep's file.
        options: Dotted option -> value; a value that names a YAML file is seen from there too.
        metric: Name of the metric for the table, such as ``val/mean_recall``; the task's own where nobody says one.
    """

    config: str | list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None


@dataclass
class Run(Part):
    """A row of the table, or several.

    Attributes:
        verbs: What is done, in this order. ``validate`` or ``test`` after ``fit`` measures its best checkpoint.
        seeds: In place of the sweep's, for instance one for a run that draws nothing.
    """

    verbs: list[Verb] = field(default_factory=lambda: ["fit"])
    seeds: list[int] | None = None


@dataclass
class Range:
    """Numbers to search; integers where both ends are.

    Attributes:
        low: The least.
        high: The greatest.
        log: Evenly on a logarithmic scale.
    """

    low: int | float
    high: int | float
    log: bool = False


@dataclass
class Search:
    """Options that are tried out.

    Attributes:
        space: Dotted option -> a list of values, or a range.
        method: ``grid``: every combination. ``optuna``: those that look promising.
        trials: How many combinations ``optuna`` tries for every run.
        direction: Which values of the metric are better; where nobody says, the task does.
        seed: Of the sampler.
    """

    space: dict[str, list[Any] | Range]
    method: Literal["grid", "optuna"] = "grid"
    trials: int = 20
    direction: Direction | None = None
    seed: int = 0


@dataclass
class Executor:
    """Where runs happen.

    Attributes:
        cluster: None: processes of this machine. ``slurm``: a job a run, through submitit; ``local`` tries that out.
        options: For a cluster: parameters of submitit's ``AutoExecutor``, such as ``timeout_min``.
        gpus: For processes of this machine: what each worker sees as ``CUDA_VISIBLE_DEVICES``, such as ``["0", "1"]``.
    """

    cluster: Literal["slurm", "local"] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    gpus: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """A whole sweep: every run with every combination of the axes' labels, points of the space and seeds.

    Attributes:
        runs: Label -> run.
        axes: Name of a column, such as ``data`` -> label -> what it adds.
        common: Added to every run.
        seeds: Each of them a run of its own.
        search: Options to try out.
        workers: How many runs at a time.
        executor: Where they happen.
        name: Of the folder under ``runs/``; default: that of the file.
    """

    runs: dict[str, Run]
    axes: dict[str, dict[str, Part]] = field(default_factory=dict)
    common: Part = field(default_factory=Part)
    seeds: list[int] = field(default_factory=lambda: [0])
    search: Search | None = None
    workers: int = 1
    executor: Executor = field(default_factory=Executor)
    name: str = ""

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Yield every part with the key under which it stands."""
        yield "common", self.common
        yield from ((f"runs.{label}", run) for label, run in self.runs.items())
        for axis, labels in self.axes.items():
            yield from ((f"axes.{axis}.{label}", part) for label, part in labels.items())
