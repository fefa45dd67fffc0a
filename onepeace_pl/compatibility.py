"""Whether a task and its data fit together, found out before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onepeace_pl.data.batches import Source, told_labels
from onepeace_pl.data.checking import check_label
from onepeace_pl.data.datamodule import Split
from onepeace_pl.data.multitask_datamodule import MultiTaskDataModule
from onepeace_pl.data.targets import TargetReader
from onepeace_pl.multitask import MultiTask, named
from onepeace_pl.task import Task

READS: dict[str, tuple[Split, ...]] = {"fit": ("validation",), "validate": ("validation",), "test": ("test",)}


def check_compatible(task: Task, data: Any, verb: str = "fit") -> None:
    """Refuse a task and a data module that do not fit.

    Where the data are asked to leave out bad rows (``on_error: skip``), labels are checked as rows are read.

    Args:
        task: The task.
        data: The data module; one that says nothing of processors and sources is not checked.
        verb: What is about to be done: only what it reads is checked, and ``predict`` needs no labels.

    Raises:
        ValueError: A modality, a label or a kind of evaluation is missing or wrong; names it and the remedy.
    """
    name = type(task).__name__
    if isinstance(task, MultiTask) != isinstance(data, MultiTaskDataModule):
        raise ValueError(
            f"{name} and {type(data).__name__} do not fit: several tasks are trained by MultiTask with "
            "MultiTaskDataModule, one task without either"
        )
    if isinstance(task, MultiTask):
        for member, own in task.members.items():
            with named(member):
                check_compatible(own, data.tasks[member], verb)
        return
    processors: Mapping[str, Any] = getattr(data, "processors", None) or {}
    if not processors:
        return
    for modality in task.modalities:
        if modality not in processors:
            raise ValueError(
                f"{name} reads {modality}, for which the data have no processor; "
                f"add data.init_args.processors.{modality}"
            )
    task.check_processors(processors)
    splits = READS.get(verb, ())
    sets = [each for split in splits for each in data.evaluation_sets(split)]
    for each in sets:
        if not isinstance(each, task.measured_on):
            raise ValueError(
                f"{name} is measured on sets of type {task.measured_on.__name__}, {type(data).__name__} gives "
                f"{type(each).__name__}; choose a data module that is made for it"
            )
    training = {"train": data.train} if verb == "fit" and getattr(data, "train", None) is not None else {}
    for place, source in training.items():
        lacking = [modality for modality in task.modalities if modality not in source.modalities]
        if lacking:
            raise ValueError(
                f"{name} reads {lacking[0]}, but {place} has {', '.join(source.modalities)}; "
                "give the source that modality, or the task another"
            )
    if task.read_target is None or data.on_error == "skip":
        return
    for place, source in (*training.items(), *((each.name, each.rows) for each in sets)):
        _check_labels(place, source, task.read_target)


def _check_labels(place: str, source: Source, read: TargetReader) -> None:
    """Read the targets of all rows, or of the first where a source cannot tell labels without making rows."""
    told = told_labels(source)
    every = iter([source[0].labels] if len(source) else []) if told is None else told
    late = () if told is None else getattr(read, "late", ())
    for number, labels in enumerate(every):
        try:
            if all(name in labels for name in late):
                read(labels)
            else:  # the rest is known when the row is made
                check_label(labels)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{place}: row {number}: {error} (on_error: skip leaves such rows out)"
            ) from None
