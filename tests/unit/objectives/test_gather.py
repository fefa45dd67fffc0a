from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from onepeace_pl.objectives.gather import check_equal_rows, gather_rows, world
from tests.two_processes import run_in_processes


def test_alone_it_is_the_rows_themselves() -> None:
    rows = torch.ones(2, 3, requires_grad=True)
    assert world() == (0, 1)
    assert gather_rows(rows, gradient=True) is rows
    assert not gather_rows(rows).requires_grad
    check_equal_rows(rows)


def _rows_come_in_order_of_ranks() -> None:
    rank = dist.get_rank()
    rows = torch.full((2, 3), float(rank)).T.contiguous().T  # a layout that collectives do not take as it is
    assert gather_rows(rows)[:, 0].tolist() == [0, 0, 1, 1]


def _gradients_are_summed_over_ranks() -> None:
    rank = dist.get_rank()
    rows = torch.ones(2, 3, requires_grad=True)
    weight = torch.arange(4.0)[:, None] * (10 if rank else 1)
    (gather_rows(rows, gradient=True) * weight).sum().backward()
    assert rows.grad is not None
    assert rows.grad[:, 0].tolist() == [11.0 * (2 * rank), 11.0 * (2 * rank + 1)]
    assert not gather_rows(rows).requires_grad


def _unequal_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\]"):
        check_equal_rows(torch.ones(3 + dist.get_rank(), 2))


def _all() -> None:  # one pair of processes for all three: starting them is what takes time
    _rows_come_in_order_of_ranks()
    _gradients_are_summed_over_ranks()
    _unequal_batches_are_refused()


@pytest.mark.distributed
def test_two_processes(tmp_path: Path) -> None:
    run_in_processes(_all, tmp_path)
