"""Several tasks in one run: they share the backbone, and each has a head, a loss, data and an evaluator of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.encoder import StopAfter
from onepeace_pl.data.batches import Batch, MultiTaskBatch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.needs import Needs, Offer
from onepeace_pl.errors import UserError
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.task import Prediction, Reads, Task, TaskOutput

MEAN = "mean_of_tasks"
_FARTHEST: tuple[StopAfter, ...] = ("projection", "norm", "blocks")


class MultiTask(Task):
    """Trains several tasks at once: a step takes a batch of each, and its loss is the weighted sum of theirs.

    Metrics come as ``TASK/SET/METRIC`` and ``TASK/METRIC``, and ``mean_of_tasks`` is the mean of the monitored metrics
    of the tasks that train; it selects the best checkpoint.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata of each task.
        tasks: Factories of the tasks by name, from the backbone and the metadata of their data.
        weights: Loss weights by task; default 1. A task of weight 0 is evaluated but not trained.
    """

    monitor = (MEAN, "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        tasks: dict[str, Callable[[Backbone, DataInfo], Task]],
        weights: dict[str, float] | None = None,
    ) -> None:
        _check_names(tasks, data_info.tasks)
        complete = _complete(weights or {}, tasks)
        made: dict[str, Task] = {}
        for name, make in tasks.items():
            with named(name):
                made[name] = make(backbone, data_info.tasks.get(name, data_info))
                _check_monitor(made[name])
            if not complete[name]:
                made[name].requires_grad_(False)
        trained = {name: task for name, task in made.items() if complete[name] > 0}
        super().__init__(
            _union([task.reads for task in trained.values()]),
            Needs(tasks={name: task.needs for name, task in made.items()}, trained=tuple(trained)),
        )
        self.weights = complete
        self.tasks = nn.ModuleDict(made)
        if not any(task.monitor for task in trained.values()):
            raise UserError(f"none of {', '.join(trained)} has a monitor; train a task that has one")

    @property
    def members(self) -> dict[str, Task]:
        """All tasks by name."""
        return {name: task for name, task in self.tasks.items() if isinstance(task, Task)}

    @property
    def trained(self) -> dict[str, Task]:
        """The tasks that train."""
        members = self.members
        return {name: members[name] for name in self.needs.trained}

    def apply_stage(self, backbone: Backbone) -> None:
        """Freeze the parameters that no task trains; one may stop a pass where another goes on."""
        train = set()
        for task in self.trained.values():
            task.apply_stage(backbone)
            train |= {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(name in train)

    def prepare(self, offer: Offer) -> None:
        """Let each task that trains read its own data."""
        for name, task in self.trained.items():
            with named(name):
                task.prepare(offer.tasks[name])

    def is_class_agnostic(self, name: str) -> bool:
        """Ask the task that the parameter belongs to."""
        _, member, own = name.split(".", 2)
        return self.members[member].is_class_agnostic(own)

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the weighted sum of the losses; everything is logged by task."""
        if not isinstance(batch, MultiTaskBatch):
            raise UserError("several tasks train on batches of each; take MultiTaskDataModule for the data")
        steps = {name: task(backbone, batch.tasks[name]) for name, task in self.trained.items()}
        loss = torch.stack([self.weights[name] * step.loss for name, step in steps.items()]).sum()
        logs = {
            f"{name}/{what}": value
            for name, step in steps.items()
            for what, value in {"loss": step.loss.detach(), **step.logs}.items()
        }
        return TaskOutput(loss, logs)

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Evaluate each task on its own sets."""
        return MultiTaskEvaluator(self.members, self.needs.trained, sets)

    def predict(
        self, backbone: Backbone, batch: Batch, dataset: EvaluationSet | None = None
    ) -> list[Prediction] | None:
        """Return the predictions of the task that the set belongs to."""
        if dataset is None:
            raise UserError(
                "several tasks predict sets of MultiTaskDataModule; give the Trainer a data module"
            )
        return self.members[_owner(dataset)].predict(backbone, batch, dataset)

    def export(self, dataset: EvaluationSet, predictions: Sequence[Prediction]) -> Mapping[str, str]:
        """Return the files of the task that the set belongs to."""
        return self.members[_owner(dataset)].export(dataset, predictions)


class MultiTaskEvaluator(Evaluator):
    """The evaluators of several tasks, each on its own sets.

    Args:
        tasks: Tasks by name.
        trained: Names of those whose monitored metrics are averaged.
        sets: Sets of all tasks, named ``TASK/SET``, one a data loader.
    """

    def __init__(
        self, tasks: Mapping[str, Task], trained: Sequence[str], sets: Sequence[EvaluationSet]
    ) -> None:
        super().__init__()
        own: dict[str, list[EvaluationSet]] = {name: [] for name in tasks}
        self._loaders: list[
            tuple[str, int]
        ] = []  # of each loader: its task, and its number among the task's own
        for each in sets:
            self._loaders.append((_owner(each), len(own[_owner(each)])))
            own[_owner(each)].append(each)
        self._evaluators = {name: task.evaluator(own[name]) for name, task in tasks.items()}
        self._prefixes = {name: tuple(f"{each.name}/" for each in mine) for name, mine in own.items()}
        self._monitored = [
            f"{name}/{monitor[0]}" for name in trained if (monitor := tasks[name].monitor) is not None
        ]

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Pass the batch to the evaluator of its task."""
        name, number = self._loaders[loader]
        self._evaluators[name].update(backbone, batch, number)

    def compute(self) -> dict[str, float]:
        """Return the metrics of every task, and the mean of the monitored ones."""
        metrics: dict[str, float] = {}
        for name, evaluator in self._evaluators.items():
            for metric, value in evaluator.compute().items():
                # sets are named TASK/SET already
                metrics[metric if metric.startswith(self._prefixes[name]) else f"{name}/{metric}"] = value
            self.results |= evaluator.results
            self.drawings |= evaluator.drawings
        values = [metrics[metric] for metric in self._monitored if metric in metrics]
        return metrics | ({MEAN: sum(values) / len(values)} if values else {})


def _union(reads: Sequence[Reads]) -> Reads:
    """Return what several tasks read together: every modality, and the passes that go farthest."""
    return Reads(
        tuple(dict.fromkeys(chain.from_iterable(each.modalities for each in reads))),
        tuple(dict.fromkeys(chain.from_iterable(each.reconstructs for each in reads))),
        min((each.stop_after for each in reads), key=_FARTHEST.index),
    )


def _owner(dataset: EvaluationSet) -> str:
    return dataset.name.partition("/")[0]


@contextmanager
def named(task: str) -> Iterator[None]:
    """Prefix errors with the name of the task."""
    try:
        yield
    except ValueError as error:
        kind = UserError if isinstance(error, UserError) else ValueError
        raise kind(f"task {task!r}: {error}") from error


def _check_names(tasks: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Reject tasks without data and data without a task; without metadata of tasks there is nothing to compare."""
    if not tasks:
        raise UserError("there are no tasks to train; set model.task.init_args.tasks")
    for name in tasks:
        if (
            not name.isidentifier() or hasattr(nn.ModuleDict(), name) or name in ("loss", MEAN)
        ):  # of all tasks
            raise UserError(f"a task cannot be called {name!r}; choose a word such as 'grounding'")
    without = [name for name in tasks if name not in data]
    left = [name for name in data if name not in tasks]
    if data and (without or left):
        said = [f"task {name!r} has no data" for name in without] + [
            f"data {name!r} have no task" for name in left
        ]
        raise UserError(
            f"{', '.join(said)}: model.task.init_args.tasks has {', '.join(tasks)}, data.init_args.tasks has "
            f"{', '.join(data)}; give both the same names"
        )


def _complete(weights: Mapping[str, float], tasks: Mapping[str, Any]) -> dict[str, float]:
    """Return a weight for each task."""
    for name, weight in weights.items():
        if name not in tasks:
            raise UserError(f"weights: there is no task {name!r}; the tasks are {', '.join(tasks)}")
        if not 0.0 <= weight < float("inf"):
            raise UserError(f"weights: {name}: {weight} must be 0 or more")
    complete = {name: float(weights.get(name, 1.0)) for name in tasks}
    if not any(complete.values()):
        raise UserError("weights: all are 0, so nothing would train; give one task a weight above 0")
    return complete


def _check_monitor(task: Task) -> None:
    """Reject a metric that is better when smaller: it cannot be averaged with those of other tasks."""
    if task.monitor is not None and task.monitor[1] != "max":
        raise UserError(
            f"{task.monitor[0]} is better when smaller, and {MEAN} is better when greater; give the task a "
            "monitor with 'max'"
        )
