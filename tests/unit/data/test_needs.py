"""Numbers of values that tasks need in each row."""

import re

import pytest

from onepeace_pl.data.needs import Needs, ValueCount
from onepeace_pl.errors import UserError

PAIR, CHOICES = ValueCount(2, 2, "give two"), ValueCount(2, None, "give choices")


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({}, {"image": 7.0}),
        ({"image": PAIR}, {"image": 2.0, "text": 1.0}),
        ({"text": CHOICES}, {"text": 5.0}),
    ],
)
def test_values_in_range_pass(values: dict[str, ValueCount], counts: dict[str, float]) -> None:
    Needs(values=values).check_values(counts)


@pytest.mark.parametrize(
    ("expected", "count", "message"),
    [
        (PAIR, 1.0, "1 values of image a row, and the task reads 2; give two"),
        (PAIR, 3.0, "3 values of image a row, and the task reads 2"),
        (CHOICES, 1.0, "and the task reads 2 or more; give choices"),
        (CHOICES, 2.5, "2.5 values of image a row"),  # rows differ
    ],
)
def test_other_numbers_of_values_are_refused(expected: ValueCount, count: float, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        Needs(values={"image": expected}).check_values({"image": count})
