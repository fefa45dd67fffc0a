"""Which points of the space are tried: the interface of a search, and the grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Protocol

from onepeace_pl.sweeps.plan import Search as Options
from onepeace_pl.sweeps.trials import Point, Row

MakeRow = Callable[[Point], Row]


class Search(Protocol):
    """Chooses points for one run with its labels."""

    def recover(self, take_over: bool = False, retry_failed: bool = False) -> int:
        """Queue again what died with its sweep, and on request what has failed; return how much that is."""

    def next(self) -> Row | None:
        """Return a row to run; None where there is none, for now."""

    def tell(self, row: Row, value: float | None) -> None:
        """Take in what became of a row.

        Args:
            row: One that :meth:`next` has returned.
            value: Mean of its metric over the seeds; None where one of them has failed.
        """

    def rows(self) -> list[Row]:
        """Return all rows of the table so far, in their order."""

    def close(self) -> None:
        """Leave what is not finished to others."""

    def cells(self) -> int:
        """Return how many cells are still to come, roughly."""


class Grid:
    """Every combination; without options the one and only.

    Args:
        make_row: Turns a point into a row.
        options: What the plan says, None where it says nothing.
    """

    def __init__(self, make_row: MakeRow, options: Options | None) -> None:
        self._rows = [make_row(point) for point in _points(options)]
        self._left = iter(self._rows)

    def recover(self, take_over: bool = False, retry_failed: bool = False) -> int:
        """Do nothing: every row comes anyway."""
        return 0

    def next(self) -> Row | None:
        """Return the next one."""
        return next(self._left, None)

    def tell(self, row: Row, value: float | None) -> None:
        """Learn nothing."""

    def rows(self) -> list[Row]:
        """Return all of them, run or not."""
        return self._rows

    def cells(self) -> int:
        """Return their number."""
        return sum(len(row.cells) for row in self._rows)

    def close(self) -> None:
        """Do nothing: a grid keeps no state."""


def _points(options: Options | None) -> Iterator[Point]:
    space = options.space if options else {}
    lists = [values if isinstance(values, list) else [] for values in space.values()]
    return (dict(zip(space, values, strict=True)) for values in product(*lists))


def samples(options: Options) -> Iterator[Point]:
    """Yield points in which every value of a list, and both ends of a range, come at least once."""
    lists = {
        option: values if isinstance(values, list) else [values.low, values.high]
        for option, values in options.space.items()
    }
    for at in range(max(map(len, lists.values()))):
        yield {option: values[at % len(values)] for option, values in lists.items()}
