import itertools

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.language.statements import statement

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def test_half_are_true() -> None:
    scenes = list(World("val", 600, Law((1, 3), "include")))
    said = [statement(left, right) for left, right in itertools.pairwise(scenes)]
    assert 0.42 < sum(s.truth for s in said) / len(said) < 0.58
    assert len({s.text for s in said}) > 100


def test_truth() -> None:
    scenes = list(World("val", 500, Law((1, 3), "include")))
    checked = 0
    for left, right in itertools.pairwise(scenes):
        said = statement(left, right)
        if said.text.endswith("in both pictures"):
            kind = said.text.split()[3]
            assert said.truth == (kind in left.kinds and kind in right.kinds)
        elif said.text.startswith("there are "):
            assert said.truth == (
                len(left.objects) + len(right.objects) == NUMBERS.index(said.text.split()[2])
            )
        elif said.text.startswith("the left picture shows more"):
            assert said.truth == (len(left.objects) > len(right.objects))
        else:
            continue
        checked += 1
    assert checked > 80


def test_other_numbers_give_other_statements() -> None:
    left, right = World("val", 2)
    assert len({statement(left, right, number).text for number in range(12)}) > 4
    assert statement(left, right, 3) == statement(left, right, 3)
