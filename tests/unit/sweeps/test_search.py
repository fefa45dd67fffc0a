"""Optuna: persistent journal, no lost trials, no duplicate points."""

from functools import partial
from pathlib import Path

import pytest

from onepeace_pl.sweeps.reading import read_plan
from onepeace_pl.sweeps.search import OptunaSearch
from onepeace_pl.sweeps.trials import make_group

SPACE = {"fake.value": {"low": 0.0, "high": 1.0}, "n": {"low": 1, "high": 3}, "kind": ["x", None, [1, 2]]}
SEARCH = {"method": "optuna", "space": SPACE, "trials": 3, "direction": "maximize"}


@pytest.fixture
def open_search(write):
    def call(**changed):
        plan = read_plan(write(search=SEARCH | changed))
        return OptunaSearch(partial(make_group, plan, "a", {}), plan.search, "maximize", Path("runs/s"))

    return call


def run_to_its_end(search):
    points = []
    while row := search.next():
        points.append(dict(row.point))
        search.tell(row, row.point["fake.value"])
    search.close()
    return points


def test_as_many_trials_as_asked_for_and_the_same_from_the_same_seed(open_search):
    points = run_to_its_end(open_search())
    assert len(points) == 3
    assert all(
        0 <= p["fake.value"] <= 1 and p["n"] in (1, 2, 3) and p["kind"] in ("x", None, "[1, 2]")
        for p in points
    )
    assert run_to_its_end(open_search()) == []
    more = run_to_its_end(open_search(trials=5))
    assert len(more) == 2
    assert not [point for point in more if point in points]
    assert [row.point for row in open_search(trials=5).groups()] == points + more
    Path("runs/s/study.log").unlink()
    assert run_to_its_end(open_search()) == points


def test_what_died_is_queued_again_and_what_lives_is_left_alone(open_search):
    first = open_search()
    dead = first.next()
    second = open_search()
    assert second.recover() == 0  # its owner is alive
    first.close()
    assert second.recover() == 1
    again = second.next()
    assert again.label == dead.label
    second.tell(again, 0.5)
    assert len(run_to_its_end(second)) == 2
    assert second.recover() == 0


def test_a_trial_of_another_host_is_left_alone_unless_told(open_search, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("onepeace_pl.sweeps.search.HOST", "elsewhere")
        theirs = open_search()
        theirs.next()
    assert open_search().recover() == 0
    assert open_search().recover(take_over=True) == 1


def test_failed_trials_are_repeated_on_request_alone(open_search):
    search = open_search(trials=1)
    row = search.next()
    search.tell(row, None)
    assert search.next() is None
    assert search.recover() == 0
    assert search.recover(retry_failed=True) == 1
    assert search.next().label == row.label


def test_another_config_or_space_is_another_study(open_search):
    run_to_its_end(open_search())
    Path("a.yaml").write_text("x: 2")
    assert len(run_to_its_end(open_search())) == 3
    assert len(run_to_its_end(open_search(space={"fake.value": [0.1, 0.2, 0.3]}))) == 3


def test_a_whole_search_ends_in_a_table(sweep, starts):
    made = sweep(search=SEARCH | {"trials": 4}, seeds=[0, 1], workers=2)
    assert made.run()
    assert len(starts()) == 8
    page = Path("runs/s/table.md").read_text()
    assert page.count("| val/score |") == 4
    assert page.count("**a**") == 1
    assert sweep(search=SEARCH | {"trials": 4}, seeds=[0, 1]).run()
    assert starts() == []


def test_the_missing_package_is_named(open_search, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ValueError, match=r"needs optuna: pip install 'onepeace-pl\[sweep\]'"):
        open_search()
