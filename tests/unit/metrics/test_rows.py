"""Rows gathered over batches; a row that comes twice counts once."""

import pytest
import torch

from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.metrics import LabelledResult, RowTable


def test_rows_come_in_order_and_once() -> None:
    table = RowTable()
    table.add(torch.tensor([2, 0]), {"accuracy": torch.tensor([1.0, 0.0]), "group": ["a", "b"]})
    table.add(torch.tensor([1, 2]), {"accuracy": torch.tensor([0.5, 1.0]), "group": ["b", "a"]})
    columns = table.gather()
    assert columns["index"].tolist() == [0, 1, 2]
    assert columns["accuracy"].tolist() == [0.0, 0.5, 1.0]
    assert columns["group"].tolist() == ["b", "b", "a"]


def test_columns_of_several_numbers() -> None:
    table = RowTable()
    table.add(torch.tensor([0, 1]), {"scores": torch.eye(2, dtype=torch.bfloat16)})
    assert table.gather()["scores"].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert len(RowTable().gather()["index"]) == 0


def test_share_of_the_way() -> None:
    assert Reference(0.2, None, 1.0).share(0.6) == pytest.approx(0.5)
    assert Reference(0.2).share(0.6) is None


def test_scalars_name_groups() -> None:
    result = LabelledResult(
        "set", {"accuracy": 0.5}, 4, groups={"count": {"accuracy": 1.0}}, counts={"count": 2}
    )
    assert result.scalars() == {"accuracy": 0.5, "count/accuracy": 1.0}
