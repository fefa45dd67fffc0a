"""Selection of examples: the worst errors and samples, whatever the batches and the processes."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from onepeace_pl.results import PlainResult
from onepeace_pl.results.examples import Examples
from onepeace_pl.training.examples import ExampleSelection, Judgement

from ...two_processes import run_in_processes

ROWS = 300
ERRORS = torch.rand(ROWS, generator=torch.Generator().manual_seed(0))
RIGHT = ERRORS < 0.5


def update(selection: ExampleSelection, rows: list[int]) -> int:
    """Update with a batch; return how often its rows were described."""
    indices, calls = torch.tensor(rows), []

    def describe() -> Any:
        calls.append(rows)
        return [{"value": row} for row in rows], [{"target": -row} for row in rows]

    selection.update(indices, Judgement(ERRORS[indices], RIGHT[indices]), describe)
    return len(calls)


def select(batches: list[list[int]]) -> Examples:
    selection = ExampleSelection(worst=5, sample=3)
    for rows in batches:
        update(selection, rows)
    return selection.gather(PlainResult, ())


def batches_of(size: int, order: list[int] | None = None) -> list[list[int]]:
    rows = list(range(ROWS)) if order is None else order
    return [rows[start : start + size] for start in range(0, ROWS, size)]


def test_the_worst_errors_and_samples() -> None:
    found = select(batches_of(16))
    assert [example.index for example in found.worst] == ERRORS.argsort(descending=True)[:5].tolist()
    assert len(found.wrong) == len(found.right) == 3
    assert all(example.right for example in found.right)
    assert not any(example.right for example in (*found.wrong, *found.worst))
    shown = [example.index for example in (*found.worst, *found.wrong, *found.right)]
    assert len(set(shown)) == len(shown)
    for example in (*found.worst, *found.wrong, *found.right):
        assert example.prediction == {"value": example.index}
        assert example.truth == {"target": -example.index}
        assert example.error == pytest.approx(float(ERRORS[example.index]))


def test_batches_do_not_matter() -> None:
    order = list(range(ROWS))
    random.Random(0).shuffle(order)
    assert select(batches_of(16)) == select(batches_of(7, order))


def test_a_row_that_comes_twice_is_shown_once() -> None:
    assert select([*batches_of(16), *batches_of(16)]) == select(batches_of(16))


def test_rows_that_are_not_kept_are_not_described() -> None:
    selection = ExampleSelection(worst=5, sample=3)
    described = [update(selection, rows) for rows in batches_of(10)]
    assert described[0] == 1
    assert sum(described[15:]) < 8


WHOLE = select(batches_of(16))


def _own_rows_give_the_same() -> None:
    rank, selection = dist.get_rank(), ExampleSelection(worst=5, sample=3)
    rows = list(range(rank, ROWS, 2))
    for start in range(0, len(rows), 16):
        update(selection, rows[start : start + 16])
    found = selection.gather(PlainResult, ())
    assert [example.index for example in found.worst] == ERRORS.argsort(descending=True)[:5].tolist()
    both = [example.index for example in (*found.wrong, *found.right)]
    assert both == [example.index for example in (*WHOLE.wrong, *WHOLE.right)]


def test_processes_do_not_matter(tmp_path: Path) -> None:
    run_in_processes(_own_rows_give_the_same, tmp_path)
