"""Points that look promising, by Optuna: one study for each run with its labels, all in one journal file."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onepeace_pl.errors import UserError
from onepeace_pl.sweeps.executor import missing
from onepeace_pl.sweeps.fingerprint import fingerprint
from onepeace_pl.sweeps.plan import Direction, Range
from onepeace_pl.sweeps.plan import Search as Options
from onepeace_pl.sweeps.search import MakeRow
from onepeace_pl.sweeps.trials import Point, Row, flag_value
from onepeace_pl.utils.claim import CLAIMS, HOST, Claim

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.log"
_OWNER = "owner"  # attribute of a trial: host and process that run it
_REPEATS = "repeats"  # attribute of a trial: the number of an earlier one that came to nothing
_NUMBERS = itertools.count()


class OptunaSearch:
    """Asks Optuna for points and tells it what came of them.

    A trial whose sweep was killed is told as failed and its point is queued again; its runs, found by their options,
    go on from their checkpoints. Another config begins another study; the older one stays in the journal.

    Args:
        make_row: Turns a point into a row.
        options: What the plan says.
        direction: Which values are better, ``minimize`` or ``maximize``.
        folder: The sweep's folder.

    Raises:
        UserError: Optuna is missing.
    """

    def __init__(self, make_row: MakeRow, options: Options, direction: Direction, folder: Path) -> None:
        try:
            import optuna
        except ImportError:
            raise UserError(missing("search.method: optuna", "optuna")) from None
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self._make_row, self._options, self._claims = make_row, options, folder / CLAIMS
        self._space = {option: _distribution(values) for option, values in options.space.items()}
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
            study_name=_name(make_row({}), options, direction),
            direction=direction,
            load_if_exists=True,
        )
        # the state of a sampler is not kept: one that starts anew must not draw the same points again
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

    def next(self) -> Row | None:
        """Ask for a point, as long as there are trials left."""
        from optuna.trial import TrialState

        if len(self._counted()) >= self._options.trials and not self._counted(TrialState.WAITING):
            return None
        if self._claim is None:
            self._claim = Claim(self._claims / self._owner)
        trial = self._study.ask(self._space)
        trial.set_user_attr(_OWNER, self._owner)
        row = self._make_row(self._point(trial))
        self._trials.setdefault(row.label, []).append(trial)
        return row

    def tell(self, row: Row, value: float | None) -> None:
        """Tell Optuna the value, or that there is none."""
        from optuna.trial import TrialState

        for trial in self._trials.pop(row.label, []):  # the same point may have been drawn twice
            state = None if value is not None and math.isfinite(value) else TrialState.FAIL
            self._study.tell(trial, None if state else value, state, skip_if_finished=True)

    def rows(self) -> list[Row]:
        """Return the rows of all trials, each point once."""
        rows = [self._make_row(self._point(t)) for t in self._study.get_trials(deepcopy=False) if t.params]
        return list({row.label: row for row in rows}.values())

    def cells(self) -> int:
        """Return the number of cells of the trials that were left when this began."""
        return self._left * len(self._make_row({}).cells)

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


def _distribution(values: list[Any] | Range) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        scalar = (bool, int, float, str, type(None))
        return CategoricalDistribution([v if isinstance(v, scalar) else flag_value(v) for v in values])
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, values.log)
    return FloatDistribution(values.low, values.high, values.log)


def _name(plain: Row, options: Options, direction: str) -> str:
    """Name a study by everything that its values depend on."""
    said = [*map(fingerprint, plain.cells), plain.metric, direction, str(options.space)]
    return f"{plain.label} {hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]}"
