"""What the table says: means, deviations, chance, the best, what is missing, and the commands behind it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onepeace_pl.sweeps.record import why_it_ended
from onepeace_pl.sweeps.table import duration


def rows_of(page):
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_means_and_deviations_beside_chance_and_optimum(sweep):
    assert sweep(seeds=[0, 1, 2], axes={"data": {"low": {}, "high": {"options": {"fake.value": 0.5}}}}).run()
    low, high = rows_of(Path("runs/s/table.md").read_text())
    assert (low["mean"], low["std"], low["seeds"]) == ("0.1000", "0.1000", "3")
    assert (high["run"], high["data"], high["mean"]) == ("a", "high", "0.6000")
    assert (high["metric"], high["chance"], high["optimum"]) == ("val/score", "0.1000", "2.0000")
    assert "remarks" not in high
    with Path("runs/s/table.csv").open() as file:
        full = list(csv.DictReader(file))[1]
    assert float(full["std"]) == pytest.approx(0.1, abs=1e-12)
    assert full["configs"] == "a.yaml"
    assert len(full["commands"].splitlines()) == 3
    assert full["commands"].startswith(
        "python -m onepeace_pl fit --config a.yaml --run 'runs/s/a,data=high,seed=0'"
    ) or ("--run runs/s/a,data=high,seed=0" in full["commands"])
    picture = np.asarray(Image.open("runs/s/table.png").convert("RGB"))
    assert picture.std() > 5


def test_a_grid_has_a_column_an_option_and_marks_the_best(sweep):
    assert sweep(search={"space": {"fake.value": [0.1, 0.7, 0.3], "model.lr": [1]}}).run()
    rows = rows_of(Path("runs/s/table.md").read_text())
    assert [row["fake.value"] for row in rows] == ["0.1", "0.7", "0.3"]
    assert [row["run"] for row in rows] == ["a", "**a**", "a"]


def test_a_metric_that_no_run_logs_is_told_and_needs_no_new_run(sweep, starts):
    run = {"config": "a.yaml", "metric": "val/scores"}
    assert not sweep(runs={"a": run}).run()
    assert "seed 0: it logs no 'val/scores'; did you mean 'val/score'?" in Path("runs/s/table.md").read_text()
    starts()
    assert sweep(runs={"a": run | {"metric": "val/loss"}}).write_table()
    assert rows_of(Path("runs/s/table.md").read_text())[0]["mean"] == "1.0000"
    assert sweep(runs={"a": run | {"metric": "val/loss"}}).run()
    assert starts() == []


def test_without_a_run_there_is_no_table(sweep):
    with pytest.raises(ValueError, match="no folder 'runs/s': the sweep has not run yet; leave out --table"):
        sweep().write_table()


@pytest.mark.parametrize(
    ("code", "text", "line", "failed"),
    [
        (2, "note: x\nerror: no such option\n", "no such option", True),
        (2, "Epoch 0:  0%| [00:00<?, ?it/s]error: too small\n", "too small", True),
        (1, "Traceback\n  File x\nValueError: too big\nso much\n", "ValueError: too big", True),
        (
            1,
            "Epoch 0: 10%|\rEpoch 0: 20%| 3it/s\nRuntimeError: out of memory\n\n",
            "RuntimeError: out of memory",
            True,
        ),
        (1, "step 3\nstopped by a signal\n", "stopped by a signal", False),
        (-9, "step 3\n", "ended by SIGKILL", False),
        (-11, "step 3\n", "ended by SIGSEGV", True),
        (143, "", "stopped by a signal", False),
        (3, "", "exit code 3, and not a word", True),
        (0, "done\n", "it ended well but left no results; is trainer.fast_dev_run set?", True),
    ],
)
def test_why_a_run_ended(code, text, line, failed):
    Path("log.txt").write_text("error: of an earlier attempt\n" + text)
    assert why_it_ended(code, Path("log.txt"), 29) == (line, failed)


def test_durations():
    assert [duration(s) for s in (0.4, 59.6, 61, 7260)] == ["0 s", "1 min 0 s", "1 min 1 s", "2 h 1 min"]
