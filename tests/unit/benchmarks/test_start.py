import pytest

from onepeace_pl.benchmarks.start import StartTimes, commands, measure_starts, row
from onepeace_pl.errors import UserError


def test_seconds_of_both_sides(tmp_path):
    (tmp_path / "onepeace_pl").mkdir()
    (tmp_path / "onepeace_pl" / "__main__.py").touch()
    (times,) = measure_starts({"nothing": ("-c", "")}, 2, tmp_path)
    assert len(times.seconds) == len(times.others) == 2
    assert all(0 < each < 5 for each in times.seconds + times.others)


def test_failures_are_told(tmp_path):
    with pytest.raises(UserError, match="is no checkout"):
        list(measure_starts(commands(), 1, tmp_path))
    with pytest.raises(UserError, match=r"fails in .*: it is broken"):
        list(measure_starts({"x": ("-c", "raise SystemExit('it is broken')")}, 1))


def test_row():
    assert row(StartTimes("info", (3.0, 1.0, 2.0), (4.0, 4.0, 5.5))) == (
        "| `info` | 4.0 [4.0 .. 5.5] | 2.0 [1.0 .. 3.0] |"
    )
