"""Ask the command line's own parser what it thinks of the commands, before any of them runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from typing import Any

from onepeace_pl.cli.failures import user_message
from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.plan import Direction
from onepeace_pl.sweeps.record import Status, status_of
from onepeace_pl.sweeps.trials import Row, Trial


def check_commands(rows: Iterable[Row]) -> None:
    """Build what rows that have not run yet describe, without memory: every option with every value once.

    Args:
        rows: All rows, or samples of them.

    Raises:
        UserError: A command would be refused; the line says which, and why.
    """
    for row in _telling(rows):
        model = resolved(row, build=True)["model"]
        cell = row.cells[0]
        given = any(word.startswith("--ckpt_path") for word in cell.steps[0].words)
        if cell.steps[0].verb != "fit" and not (
            given or model.get("init_from") or model.get("random_weights")
        ):
            raise UserError(
                f"run '{row.run}' would {cell.steps[0].verb} random weights: give it the option ckpt_path or "
                "model.init_from, or model.random_weights: true"
            )


def direction_of(row: Row) -> Direction:
    """Return ``minimize`` or ``maximize``, by the task's own word on its metric.

    Raises:
        UserError: The metric is not the one that the task is judged by, so nobody knows.
    """
    from onepeace_pl.cli.defaults import monitor_of

    monitor = monitor_of(resolved(row)["model"])
    if monitor is None or (row.metric and row.metric.partition("/")[2] != monitor[0].partition("/")[2]):
        raise UserError(
            f"search.direction is missing: the task of run '{row.run}' does not say whether more of "
            f"'{row.metric or 'its metric'}' is better; write minimize or maximize"
        )
    return "maximize" if monitor[1] == "max" else "minimize"


def resolved(row: Row, build: bool = False) -> dict[str, Any]:
    """Return the config of a row's first command.

    Args:
        row: The row.
        build: Make model, data module and trainer too, so that more can be found wrong.

    Raises:
        UserError: It would be refused.
    """
    from onepeace_pl.cli import lightning
    from onepeace_pl.cli.stand_in import Blueprint

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            blueprint = Blueprint(lightning.default_experiment(), row.cells[0].steps[0].words[1:], build)
            if build:
                blueprint.built()
            config = blueprint.resolved()
    except SystemExit:  # the parser has said why
        line = next(line for line in said.getvalue().splitlines() if line.startswith("error: "))
        raise UserError(f"{row.label}: {line.removeprefix('error: ')}") from None
    except Exception as error:
        line = user_message(error) or ""
        if not line:
            raise
        raise UserError(f"{row.label}: {line}") from None
    print(said.getvalue(), end="", file=sys.stderr)
    return config


def _telling(rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out rows that say nothing new, and those of which a command has been run before."""
    known: set[tuple[str, str]] = set()
    for row in rows:
        if not any(_is_new(cell) for cell in row.cells):
            continue
        said = {
            ("run", row.run),
            *row.axes.items(),
            *((name, str(value)) for name, value in row.point.items()),
        }
        said = {(f"{row.run} {name}", value) for name, value in said}
        if said - known:
            known |= said
            yield row


def _is_new(cell: Trial) -> bool:
    return status_of(cell) in (Status.NEW, Status.CHANGED)
