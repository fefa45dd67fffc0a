"""Several tasks in one run: they share the backbone, and each has a head, a loss and data of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch, MultiTaskBatch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.training.task import Task, TaskOutput

MEAN = "mean_of_tasks"
_FARTHEST: tuple[StopAfter, ...] = ("projection", "norm", "blocks")


class MultiTask(Task):
    """Trains several tasks at once: a step takes a batch of each, and its loss is the weighted sum of theirs.

    Metrics come as ``TASK/SET/METRIC`` and ``TASK/METRIC``, and ``mean_of_tasks`` is the mean of what each trained
    task is judged by; the best checkpoint is best in that.

    Args:
        backbone: The backbone.
        data_info: Facts about the data of each task.
        tasks: Name -> what makes the task from the backbone and the facts about its own data.
        weights: Name -> weight of the task's loss, 1 where nothing is said. A task of weight 0 is measured, and does
            not train.
    """

    monitor = (MEAN, "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        tasks: dict[str, Callable[[Backbone, DataInfo], Task]],
        weights: dict[str, float] | None = None,
    ) -> None:
        super().__init__(backbone, data_info)
        _check_names(tasks, data_info.tasks)
        self.weights = _complete(weights or {}, tasks)
        made: dict[str, Task] = {}
        for name, make in tasks.items():
            with named(name):
                made[name] = make(backbone, data_info.tasks.get(name, data_info))
                _check_monitor(made[name])
            if not self.weights[name]:
                made[name].requires_grad_(False)
        self.tasks = nn.ModuleDict(made)
        if not any(task.monitor for task in self.trained.values()):
            raise ValueError(
                f"none of {', '.join(self.trained)} says what it is judged by; train one that does"
            )

    @property
    def members(self) -> dict[str, Task]:
        """All tasks by name."""
        return dict(self.tasks.items())  # type: ignore[arg-type]

    @property
    def trained(self) -> dict[str, Task]:
        """Those that train."""
        return {name: task for name, task in self.members.items() if self.weights[name] > 0}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that any task reads in training."""
        return tuple(dict.fromkeys(chain.from_iterable(task.modalities for task in self.trained.values())))

    @property
    def reconstructs(self) -> tuple[str, ...]:
        """Modalities of which any task restores hidden tokens."""
        return tuple(dict.fromkeys(chain.from_iterable(task.reconstructs for task in self.trained.values())))

    @property
    def stop_after(self) -> StopAfter:
        """Where the passes end that go farthest."""
        return min((task.stop_after for task in self.trained.values()), key=_FARTHEST.index)

    @property
    def heads(self) -> list[nn.Module]:
        """Those of all tasks."""
        return list(chain.from_iterable(task.heads for task in self.members.values()))

    def apply_stage(self, backbone: Backbone) -> None:
        """Let train what any task trains: what one reads to the end, another may not."""
        train = set()
        for task in self.trained.values():
            task.apply_stage(backbone)
            train |= {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(name in train)

    def prepare(self, data: Any) -> None:
        """Tell the data module which tasks train, and the data of each task what their workers do."""
        data.trained = tuple(self.trained)
        for name, task in self.members.items():
            task.prepare(data.tasks[name])

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the weighted sum of the losses; everything is logged by task."""
        if not isinstance(batch, MultiTaskBatch):
            raise ValueError("several tasks train on batches of each; take MultiTaskDataModule for the data")
        steps = {name: task(backbone, batch.tasks[name]) for name, task in self.trained.items()}
        loss = torch.stack([self.weights[name] * step.loss for name, step in steps.items()]).sum()
        logs = {
            f"{name}/{what}": value
            for name, step in steps.items()
            for what, value in {"loss": step.loss.detach(), **step.logs}.items()
        }
        return TaskOutput(loss, logs)

    def of(self, each: EvaluationSet) -> Task:
        """Return the task to which a set ``TASK/SET`` belongs."""
        return self.members[_owner(each)]

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results, and give each task its own sets."""
        self._loaders: list[tuple[Task, int]] = []  # by number: whose, and which of the task's own
        self._sets: dict[str, list[EvaluationSet]] = {name: [] for name in self.tasks}
        for each in sets:
            own = self._sets[_owner(each)]
            self._loaders.append((self.of(each), len(own)))
            own.append(each)
        for name, task in self.members.items():
            task.start_evaluation(self._sets[name])

    def start_prediction(self, sets: Sequence[EvaluationSet]) -> None:
        """Give each task its own sets."""
        for task in self.members.values():
            task.start_prediction([each for each in sets if self.of(each) is task])

    def evaluate(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        """Let the task measure its batch."""
        task, number = self._loaders[loader]
        task.evaluate(backbone, batch, number)

    def finish_evaluation(self) -> dict[str, float]:
        """Return the metrics of every task, and the mean of what those that train are judged by."""
        found: dict[str, float] = {}
        for name, task in self.members.items():
            sets = tuple(f"{each.name}/" for each in self._sets[name])  # which begin with the task's name
            for metric, value in task.finish_evaluation().items():
                found[metric if metric.startswith(sets) else f"{name}/{metric}"] = value
        judged = [f"{name}/{task.monitor[0]}" for name, task in self.trained.items() if task.monitor]
        values = [found[metric] for metric in judged if metric in found]
        return found | ({MEAN: sum(values) / len(values)} if values else {})

    @property
    def results(self) -> Mapping[str, Any]:
        """Results of all tasks by set."""
        return {name: result for task in self.members.values() for name, result in task.results.items()}


def _owner(each: EvaluationSet) -> str:
    return each.name.partition("/")[0]


@contextmanager
def named(task: str) -> Iterator[None]:
    """Put the name of the task in front of what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"task {task!r}: {error}") from error


def _check_names(tasks: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Refuse tasks without data and data without a task; without any facts about tasks there is nothing to compare."""
    if not tasks:
        raise ValueError("there are no tasks to train; set model.task.init_args.tasks")
    for name in tasks:
        if (
            not name.isidentifier() or hasattr(nn.ModuleDict(), name) or name in ("loss", MEAN)
        ):  # of all tasks
            raise ValueError(f"a task cannot be called {name!r}; choose a word such as 'grounding'")
    without = [name for name in tasks if name not in data]
    left = [name for name in data if name not in tasks]
    if data and (without or left):
        said = [f"task {name!r} has no data" for name in without] + [
            f"data {name!r} have no task" for name in left
        ]
        raise ValueError(
            f"{', '.join(said)}: model.task.init_args.tasks has {', '.join(tasks)}, data.init_args.tasks has "
            f"{', '.join(data)}; give both the same names"
        )


def _complete(weights: Mapping[str, float], tasks: Mapping[str, Any]) -> dict[str, float]:
    """Return a weight for each task."""
    for name, weight in weights.items():
        if name not in tasks:
            raise ValueError(f"weights: there is no task {name!r}; the tasks are {', '.join(tasks)}")
        if not 0.0 <= weight < float("inf"):
            raise ValueError(f"weights: {name}: {weight} must be 0 or more")
    complete = {name: float(weights.get(name, 1.0)) for name in tasks}
    if not any(complete.values()):
        raise ValueError("weights: all are 0, so nothing would train; give one task a weight above 0")
    return complete


def _check_monitor(task: Task) -> None:
    """Refuse a measure that is better when smaller: the mean over tasks would say nothing."""
    if task.monitor is not None and task.monitor[1] != "max":
        raise ValueError(
            f"{task.monitor[0]} is better when smaller, and {MEAN} is better when greater; give the task a "
            "monitor with 'max'"
        )
