"""Whether a task and its data fit together, found out before anything trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from onepeace_pl.data.batches import Source, told_labels, values_of
from onepeace_pl.data.datamodule import Split
from onepeace_pl.data.labels.checking import check_label
from onepeace_pl.data.loading.dataset import OnError
from onepeace_pl.data.multitask_datamodule import MultiTaskDataModule
from onepeace_pl.training.multitask import MultiTask, named
from onepeace_pl.training.task import Task

CHEAP = {"extent"}
"""Labels for which a row may be made before anything trains: the header of its picture is read, no pixel."""

READS: dict[str, tuple[Split, ...]] = {"fit": ("validation",), "validate": ("validation",), "test": ("test",)}


def check_compatible(task: Task, data: Any, verb: str = "fit") -> None:
    """Refuse a task and a data module that do not fit.

    Where the data are asked to leave out bad rows (``on_error: skip``), a warning says how many there are.

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
    sources = [("train", data.train)] if verb == "fit" and getattr(data, "train", None) is not None else []
    if task.read_target is not None:  # galleries are read modality by modality
        sources += [(each.name, each.rows) for each in sets]
    for place, source in sources:
        lacking = [modality for modality in task.modalities if modality not in source.modalities]
        if lacking:
            raise ValueError(
                f"{name} reads {lacking[0]}, but {place} has {', '.join(source.modalities)}; "
                "give the source that modality, or the task another"
            )
        if task.read_target is not None:
            _check_rows(place, source, task, getattr(data, "on_error", "raise"))


def _check_rows(place: str, source: Source, task: Task, on_error: OnError) -> None:
    """Refuse rows that the task cannot read, or where bad ones are left out say how many there will be."""
    complaints = _complaints(source, task)
    first = next(complaints, None)
    if first is None:
        return
    if on_error == "raise":
        raise ValueError(f"{place}: {first} (on_error: skip leaves such rows out)")
    wrong = 1 + sum(1 for _ in complaints)
    if wrong >= len(source):
        raise ValueError(f"{place}: not one of its {len(source):,} rows can be used; {first}")
    rank_zero_warn(f"{place}: {wrong:,} of {len(source):,} rows are left out; the first is {first}")


def _complaints(source: Source, task: Task) -> Iterator[str]:
    """Yield a complaint for each row that is of no use: of the first row's values, and of the targets of all rows.

    A source that cannot tell labels without making rows is asked for the first alone. Where only the size of a picture
    is lacking, rows are made for it; masks and outlines are left to the loader.
    """
    read = task.read_target
    assert read is not None
    told = told_labels(source)
    every = iter([source[0].labels] if len(source) else []) if told is None else told
    late = () if told is None else getattr(read, "late", ())
    for number, labels in enumerate(every):
        try:
            if number == 0:
                task.check_values({name: len(values_of(raw)) for name, raw in source[0].fields.items()})
            lacking = {name for name in late if name not in labels}
            if lacking <= CHEAP:
                read(source[number].labels if lacking else labels)
            else:
                check_label(labels)
        except (ValueError, TypeError, OSError) as error:
            yield f"row {number}: {error}"
