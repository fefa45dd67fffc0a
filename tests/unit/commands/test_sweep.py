"""``sweep``: commands are checked before any runs, and the exit code says how it went."""

import sys
from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main
from tests.unit.sweeps.conftest import FAKE


@pytest.fixture
def write(configs, monkeypatch):
    """Write ``s.yaml`` with a run of the toy suite."""
    monkeypatch.setattr("onepeace_pl.sweeps.trial_run.PROGRAM", (sys.executable, str(FAKE)))
    file = str(configs / "experiment/classify.yaml")

    def call(run=None, **content):
        Path("s.yaml").write_text(yaml.safe_dump({"runs": {"a": {"config": file} | (run or {})}} | content))
        return "s.yaml"

    return call


def test_dry_run_prints_commands_that_fit_takes(write, capsys):
    assert (
        main(["sweep", write(seeds=[0, 1], common={"options": {"trainer.max_steps": 1}}), "--dry-run"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert not Path("runs").exists()
    words = lines[1].removeprefix("python -m onepeace_pl ").split()
    assert main(words) == 0
    assert Path("runs/s/a,seed=1/results.json").is_file()


def test_a_sweep_of_the_toy_suite(write, capsys):
    assert main(["sweep", write()]) == 0
    assert "table: runs/s/table.md" in capsys.readouterr().out
    assert main(["sweep", "s.yaml", "--table"]) == 0
    Path("runs/s/a,seed=0/results.json").unlink()
    assert main(["sweep", "s.yaml", "--table"]) == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"run": {"options": {"trainer.max_step": 1}}},
            "a: this command has no option 'trainer.max_step'; did you",
        ),
        ({"search": {"space": {"data.size": [8, "big"]}}}, "a,size=big: "),
        ({"run": {"verbs": ["validate"]}}, "run 'a' would validate random weights"),
        (
            {"search": {"method": "optuna", "space": {"data.sise": [1, 2]}}},
            "no option 'sise'; did you mean 'size'?",
        ),
        (
            {"run": {"metric": "val/other"}, "search": {"method": "optuna", "space": {"data.size": [8, 9]}}},
            "search.direction is missing: the task of run 'a' does not say whether more of 'val/other' is better",
        ),
        ({"runs": {"a": {"config": "gone.yaml"}}}, "s.yaml: runs.a.config: no config 'gone.yaml'"),
    ],
)
def test_what_would_be_refused_is_said_before_anything_runs(write, capsys, content, line):
    assert main(["sweep", write(**content)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert line in error
    assert len(error.splitlines()) == 1
    assert not Path("starts.txt").exists()


def test_a_zero_shot_run_needs_no_fit(write):
    run = {"verbs": ["validate"], "options": {"model.random_weights": True}}
    assert main(["sweep", write(run=run)]) == 0
    assert Path("starts.txt").read_text() == "a,seed=0 validate\n"


def test_the_direction_is_the_tasks_own(write):
    search = {"method": "optuna", "space": {"data.size": [8, 9]}, "trials": 2}
    assert main(["sweep", write(search=search)]) == 0
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend("runs/s/study.log"))
    (study,) = optuna.get_all_study_summaries(storage)
    assert study.direction.name == "MINIMIZE"


def test_a_missing_file(capsys):
    assert main(["sweep", "gone.yaml"]) == 2
    assert capsys.readouterr().err.startswith("error: no config 'gone.yaml'; ")
