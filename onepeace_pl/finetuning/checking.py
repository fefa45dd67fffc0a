"""Check of the rows of a plan before a config is written: files, labels, classes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onepeace_pl.cli.data_sources import made
from onepeace_pl.cli.short_names import in_full
from onepeace_pl.data.inspection import InspectionReport, inspect
from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.guesses import Guesses
from onepeace_pl.finetuning.plan import Plan
from onepeace_pl.modalities import AudioProcessor, Processor, TextProcessor
from onepeace_pl.utils.json_files import JsonObject

OPENED = 100  # rows of each part whose media are opened
NAMED = 8  # classes in a line


@dataclass(frozen=True)
class Checked:
    """What is known of the rows.

    Attributes:
        train: Number of training rows.
        validation: Number of validation rows.
        classes: Classes; empty where none are predicted.
    """

    train: int
    validation: int
    classes: Sequence[str]


def check_rows(
    plan: Plan,
    processors: Mapping[str, JsonObject],
    classes: Sequence[str] | None,
    on_error: Literal["raise", "skip"],
    guesses: Guesses,
) -> Checked:
    """Make the sources of a plan, and look at their files and labels as ``data check`` does.

    Args:
        plan: The plan.
        processors: Class and options of each processor.
        classes: Names of the classes; None takes those of the training rows.
        on_error: ``skip`` lets rows pass that cannot be prepared.
        guesses: Takes in the numbers of rows and classes.

    Raises:
        UserError: A file is missing or unreadable, a label is invalid, there are fewer than two classes, or one without
            training rows; names the first.
    """
    opened = {name: make_processor(spec) for name, spec in processors.items()}
    train = make_source("training rows", plan.rows.train)
    validation = make_source("validation rows", plan.rows.validation)
    names = tuple(classes or train.classes)
    reports = {}
    for part, source in (("training", train), ("validation", validation)):
        reports[part] = inspect(source, names, opened, OPENED)
        _check(part, reports[part], on_error)
    guesses.add("rows", f"{len(train):,} + {len(validation):,}", "training and validation")
    _add_lengths(opened, sum(report.opened for report in reports.values()), guesses)
    if plan.needs_classes:
        names = names or tuple(reports["training"].classes)
        _check_classes(names, reports, guesses)
    return Checked(len(train), len(validation), names if plan.needs_classes else ())


def make_source(part: str, spec: JsonObject) -> Source:
    """Make a source of its class and options.

    Args:
        part: Name of the rows in errors.
        spec: Class and options.

    Raises:
        UserError: It cannot be made.
    """
    found, error = _made(spec)
    if not isinstance(found, Source):
        raise UserError(f"{part}: {error or 'no source of rows'}")
    return found


def make_processor(spec: JsonObject) -> Processor:
    """Make a processor of its class and options.

    Raises:
        UserError: It cannot be made.
    """
    found, error = _made(spec)
    if not isinstance(found, Processor):
        raise UserError(error or f"{spec['class_path']} is no processor")
    return found


def _made(spec: JsonObject) -> tuple[object, str]:
    full = in_full(spec)
    assert isinstance(full, dict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself warns
        return made(full)


def _check(part: str, report: InspectionReport, on_error: str) -> None:
    wrong = [f"no such file: {file}" for file in report.missing] + report.wrong
    if not wrong:
        return
    more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
    if on_error == "raise":
        raise UserError(f"{part} rows: {wrong[0]}{more}; mend it, or leave such rows out (--on-error skip)")
    print(f"note: {part} rows: {wrong[0]}{more}; left out")


def _add_lengths(processors: Mapping[str, Processor], rows: int, guesses: Guesses) -> None:
    """Add the longest text and audio that is read, and how many of the opened rows are longer."""
    for name, processor in processors.items():
        if isinstance(processor, TextProcessor):
            most = "any" if processor.max_tokens is None else f"{processor.max_tokens} tokens"
            flag = f"--data.processors.{name}.max_tokens"
        elif isinstance(processor, AudioProcessor):
            most, flag = f"{processor.max_seconds:g} s", f"--data.processors.{name}.max_seconds"
        else:
            continue
        cut = processor.truncations.count
        guesses.add(
            f"{name} length", most, f"the model's; {cut:,} of {rows:,} opened rows are longer, and cut", flag
        )


def _check_classes(names: Sequence[str], reports: Mapping[str, InspectionReport], guesses: Guesses) -> None:
    counts = {part: report.classes for part, report in reports.items()}
    strange = [name for name in counts["validation"] if name not in names]
    if strange:
        raise UserError(
            f"validation rows are of classes that training rows lack: {_listed(strange)}; add or remove them"
        )
    if len(names) < 2:
        raise UserError(
            f"one class ({_listed(names) or 'none'}) is nothing to learn; give rows of two or more"
        )
    empty = [name for name in names if not counts["training"].get(name)]
    if empty:
        raise UserError(f"no training rows of {_listed(empty)}; add some, or remove the class")
    guesses.add("classes", len(names), _listed(names), "--classes")
    unseen = [name for name in names if not counts["validation"].get(name)]
    if unseen:
        print(f"note: no validation rows of {_listed(unseen)}: they are trained but not measured")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
