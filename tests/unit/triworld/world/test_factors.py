from itertools import combinations

import pytest

from onepeace_pl.triworld.world.factors import layouts, relations


@pytest.mark.parametrize(("count", "number"), [(1, 9), (2, 32)])
def test_number_of_layouts(count: int, number: int) -> None:
    assert len(layouts(count)) == len(set(layouts(count))) == number


@pytest.mark.parametrize("count", [2, 3, 4])
def test_objects_are_never_next_to_each_other(count: int) -> None:
    assert layouts(count)
    for places in layouts(count):
        for a, b in combinations(places, 2):
            assert abs(a % 3 - b % 3) + abs(a // 3 - b // 3) >= 2


def test_relations() -> None:
    assert relations(0, 2) == ("left of",)
    assert relations(8, 1) == ("right of", "below")
    assert relations(1, 8) == ("left of", "above")
