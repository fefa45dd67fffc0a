"""Dry run: parse and build what the commands of a sweep describe, before any of them runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr

from onepeace_pl.cli.failures import user_message
from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.plan import Direction
from onepeace_pl.sweeps.record import Status, status_of
from onepeace_pl.sweeps.trials import Trial, TrialGroup
from onepeace_pl.utils.json_files import JsonObject


def check_commands(groups: Iterable[TrialGroup]) -> None:
    """Build what groups that have not run yet describe, without memory: every option with every value once.

    Args:
        groups: All groups, or samples of them.

    Raises:
        UserError: A command would be refused; the line says which, and why.
    """
    for group in _telling(groups):
        model = resolved(group, build=True)["model"]
        trial = group.trials[0]
        given = any(word.startswith("--ckpt_path") for word in trial.commands[0].words)
        if trial.commands[0].verb != "fit" and not (
            given or model.get("init_from") or model.get("random_weights")
        ):
            raise UserError(
                f"run '{group.run}' would {trial.commands[0].verb} random weights: give it the option ckpt_path or "
                "model.init_from, or model.random_weights: true"
            )


def direction_of(group: TrialGroup) -> Direction:
    """Return ``minimize`` or ``maximize``, by the task's own word on its metric.

    Raises:
        UserError: The metric is not the one that the task is judged by, so nobody knows.
    """
    from onepeace_pl.cli.defaults import monitor_of

    monitor = monitor_of(resolved(group)["model"])
    if monitor is None or (group.metric and group.metric.partition("/")[2] != monitor[0].partition("/")[2]):
        raise UserError(
            f"search.direction is missing: the task of run '{group.run}' does not say whether more of "
            f"'{group.metric or 'its metric'}' is better; write minimize or maximize"
        )
    return "maximize" if monitor[1] == "max" else "minimize"


def resolved(group: TrialGroup, build: bool = False) -> JsonObject:
    """Return the config of a group's first command.

    Args:
        group: The group.
        build: Make model, data module and trainer too, so that more can be found wrong.

    Raises:
        UserError: It would be refused.
    """
    from onepeace_pl.cli import lightning
    from onepeace_pl.cli.stand_in import StandIn

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            stand_in = StandIn(lightning.default_experiment(), group.trials[0].commands[0].words[1:], build)
            if build:
                stand_in.built()
            config = stand_in.resolved()
    except SystemExit:  # the parser has said why
        line = next(line for line in said.getvalue().splitlines() if line.startswith("error: "))
        raise UserError(f"{group.label}: {line.removeprefix('error: ')}") from None
    except Exception as error:
        line = user_message(error) or ""
        if not line:
            raise
        raise UserError(f"{group.label}: {line}") from None
    print(said.getvalue(), end="", file=sys.stderr)
    return config


def _telling(groups: Iterable[TrialGroup]) -> Iterator[TrialGroup]:
    """Leave out groups that say nothing new, and those of which a command has been run before."""
    known: set[tuple[str, str]] = set()
    for group in groups:
        if not any(_is_new(trial) for trial in group.trials):
            continue
        said = {
            ("run", group.run),
            *group.axes.items(),
            *((name, str(value)) for name, value in group.point.items()),
        }
        said = {(f"{group.run} {name}", value) for name, value in said}
        if said - known:
            known |= said
            yield group


def _is_new(trial: Trial) -> bool:
    return status_of(trial) in (Status.NEW, Status.CHANGED)
