"""Search methods: grid, and Optuna with one study for each run with its labels."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.executor import missing
from onepeace_pl.sweeps.plan import Direction, OptionValue, Range, SearchOptions
from onepeace_pl.sweeps.record import fingerprint
from onepeace_pl.sweeps.trials import Point, TrialGroup, flag_value
from onepeace_pl.utils.claim import CLAIMS, HOST, Claim

if TYPE_CHECKING:
    import optuna


MakeGroup = Callable[[Point], TrialGroup]


class Search(Protocol):
    """A search method, for one run with its labels."""

    def recover(self, take_over: bool = False, retry_failed: bool = False) -> int:
        """Queue interrupted trials again, on request failed ones, too; return their number."""

    def next(self) -> TrialGroup | None:
        """Return the next group to run; None where there is none at present."""

    def tell(self, group: TrialGroup, value: float | None) -> None:
        """Record the result of a group.

        Args:
            group: One that :meth:`next` has returned.
            value: Mean of its metric over the seeds; None where one of them has failed.
        """

    def groups(self) -> list[TrialGroup]:
        """Return all groups of the table so far, in their order."""

    def close(self) -> None:
        """Release unfinished trials to other sweeps."""

    def trials(self) -> int:
        """Return the approximate number of remaining trials."""


class Grid:
    """Grid search: every combination; one empty point without options.

    Args:
        make_group: Makes the group of a point.
        options: Search options of the plan, None without a search.
    """

    def __init__(self, make_group: MakeGroup, options: SearchOptions | None) -> None:
        self._groups = [make_group(point) for point in _points(options)]
        self._left = iter(self._groups)

    def recover(self, take_over: bool = False, retry_failed: bool = False) -> int:
        """Do nothing: every group is returned by :meth:`next`."""
        return 0

    def next(self) -> TrialGroup | None:
        """Return the next group."""
        return next(self._left, None)

    def tell(self, group: TrialGroup, value: float | None) -> None:
        """Do nothing: a grid does not adapt."""

    def groups(self) -> list[TrialGroup]:
        """Return all groups, run or not."""
        return self._groups

    def trials(self) -> int:
        """Return their number."""
        return sum(len(group.trials) for group in self._groups)

    def close(self) -> None:
        """Do nothing: a grid keeps no state."""


def _points(options: SearchOptions | None) -> Iterator[Point]:
    space = options.space if options else {}
    lists = [values if isinstance(values, list) else [] for values in space.values()]
    return (dict(zip(space, values, strict=True)) for values in product(*lists))


def samples(options: SearchOptions) -> Iterator[Point]:
    """Yield points in which every value of a list, and both ends of a range, come at least once."""
    lists = {
        option: values if isinstance(values, list) else [values.low, values.high]
        for option, values in options.space.items()
    }
    for at in range(max(map(len, lists.values()))):
        yield {option: values[at % len(values)] for option, values in lists.items()}


JOURNAL = "study.log"
_OWNER = "owner"  # attribute of a trial: host and process that run it
_REPEATS = "repeats"  # attribute of a trial: the number of an earlier one that came to nothing
_NUMBERS = itertools.count()


class OptunaSearch:
    """Optuna search (TPE sampler).

    A trial whose sweep was killed is marked as failed and its point is queued again; its runs, found by their options,
    resume from their checkpoints. Another config starts another study; the older one stays in the journal.

    Args:
        make_group: Makes the group of a point.
        options: Search options of the plan.
        direction: ``minimize`` or ``maximize``.
        folder: The sweep's folder.

    Raises:
        UserError: Optuna is missing.
    """

    def __init__(
        self, make_group: MakeGroup, options: SearchOptions, direction: Direction, folder: Path
    ) -> None:
        try:
            import optuna
        except ImportError:
            raise UserError(missing("search.method: optuna", "optuna")) from None
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self._make_group, self._options, self._claims = make_group, options, folder / CLAIMS
        self._space = {option: _distribution(values) for option, values in options.space.items()}
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
            study_name=_name(make_group({}), options, direction),
            direction=direction,
            load_if_exists=True,
        )
        # the sampler's state is not stored: a new one must not draw the same points again
        seed = options.seed + len(self._study.trials)
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        self._trials: dict[str, list[optuna.Trial]] = {}
        self._owner = f"{HOST} {os.getpid()} {next(_NUMBERS)}"
        self._claim: Claim | None = None
        self._left = options.trials

    def recover(self, take_over: bool = False, retry_failed: bool = False) -> int:
        """Queue again what died with its sweep, and on request what has failed.

        Args:
            take_over: Trials of other hosts are dead.
            retry_failed: Also queue trials that have failed.

        Returns:
            How many were queued.
        """
        from optuna.trial import TrialState

        dead = [t for t in self._counted(TrialState.RUNNING) if self._is_dead(t, take_over)]
        failed = self._counted(TrialState.FAIL) if retry_failed else []
        for trial in dead:
            self._study.tell(trial.number, state=TrialState.FAIL)
        for trial in (*dead, *failed):
            self._study.enqueue_trial(trial.params, user_attrs={_REPEATS: trial.number})
        ended = self._counted(TrialState.COMPLETE, TrialState.FAIL)
        self._left = self._options.trials - len(ended)
        return len(dead) + len(failed)

    def next(self) -> TrialGroup | None:
        """Ask for a point, as long as there are trials left."""
        from optuna.trial import TrialState

        if len(self._counted()) >= self._options.trials and not self._counted(TrialState.WAITING):
            return None
        if self._claim is None:
            self._claim = Claim(self._claims / self._owner)
        trial = self._study.ask(self._space)
        trial.set_user_attr(_OWNER, self._owner)
        group = self._make_group(self._point(trial))
        self._trials.setdefault(group.label, []).append(trial)
        return group

    def tell(self, group: TrialGroup, value: float | None) -> None:
        """Report the value to Optuna, or a failure."""
        from optuna.trial import TrialState

        for trial in self._trials.pop(group.label, []):  # the same point may have been drawn twice
            state = None if value is not None and math.isfinite(value) else TrialState.FAIL
            self._study.tell(trial, None if state else value, state, skip_if_finished=True)

    def groups(self) -> list[TrialGroup]:
        """Return the groups of all trials, each point once."""
        groups = [
            self._make_group(self._point(t)) for t in self._study.get_trials(deepcopy=False) if t.params
        ]
        return list({group.label: group for group in groups}.values())

    def trials(self) -> int:
        """Return the number of trials of the trials that were left when this began."""
        return self._left * len(self._make_group({}).trials)

    def close(self) -> None:
        """Leave trials that are not finished to the next one who comes."""
        if self._claim:
            self._claim.give_up()

    def _counted(self, *states: optuna.trial.TrialState) -> list[optuna.trial.FrozenTrial]:
        """Return the trials in these states, all if none is named; not those that are repeated by later ones."""
        trials = self._study.get_trials(deepcopy=False)
        repeated = {t.user_attrs.get(_REPEATS) for t in trials}
        return [t for t in trials if t.number not in repeated and (not states or t.state in states)]

    def _is_dead(self, trial: optuna.trial.FrozenTrial, take_over: bool) -> bool:
        owner = str(trial.user_attrs.get(_OWNER, HOST))
        if owner.split()[0] != HOST:
            return take_over
        with Claim(self._claims / owner) as claim:
            return claim.held

    def _point(self, trial: optuna.Trial | optuna.trial.FrozenTrial) -> Point:
        return {option: trial.params[option] for option in self._space if option in trial.params}


def _distribution(values: list[OptionValue] | Range) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        scalar = (bool, int, float, str, type(None))
        return CategoricalDistribution([v if isinstance(v, scalar) else flag_value(v) for v in values])
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, values.log)
    return FloatDistribution(values.low, values.high, values.log)


def _name(plain: TrialGroup, options: SearchOptions, direction: str) -> str:
    """Name a study by everything that its values depend on."""
    said = [*map(fingerprint, plain.trials), plain.metric, direction, str(options.space)]
    return f"{plain.label} {hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]}"
