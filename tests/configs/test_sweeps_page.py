"""docs/guide/sweeps.md: its commands run, with runs that only pretend; its files are read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main
from onepeace_pl.cli.catalogue import purpose
from onepeace_pl.sweeps.reading import read_plan
from onepeace_pl.sweeps.sweep import Sweep
from tests.configs.pages import ROOT, blocks, commands
from tests.unit.sweeps.conftest import FAKE

PAGE = "docs/guide/sweeps.md"


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("onepeace_pl.sweeps.trial_run.PROGRAM", (sys.executable, str(FAKE)))
    for part in ROOT.joinpath("configs").iterdir():
        Path("configs").mkdir(exist_ok=True)
        Path("configs", part.name).symlink_to(part)


def test_the_commands_run() -> None:
    said = commands(PAGE)
    assert [words[0] for words in said] == ["sweep"] * 3
    for words in said:
        assert main(words) == 0, words
    assert "| both_objectives | val/score |" in Path("runs/quick/table.md").read_text()


def test_the_files_are_read_and_their_commands_would_be_taken() -> None:
    mine, search, cluster = blocks(PAGE, "yaml")
    sweep = Path("configs/mine.yaml")
    for added in ("", search, cluster):
        content = yaml.safe_load(mine.replace("../", "")) | (yaml.safe_load(added) or {} if added else {})
        sweep.write_text(yaml.safe_dump(content))
        read_plan(sweep)
    made = Sweep(sweep)
    made.check()
    assert len(made.commands()) == 2 * 2 * 3 * 2


SHIPPED = sorted((ROOT / "configs/sweep").glob("*.yaml"))
LONG = (
    "tasks.yaml",
    "tasks_debug.yaml",
)  # test_every_config.py builds each of their runs, without their options


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_sweeps_are_read(path: Path) -> None:
    assert purpose(path)
    assert Sweep(path).commands()


@pytest.mark.parametrize("name", LONG)
def test_the_first_run_of_a_shipped_sweep_would_be_taken(name: str) -> None:
    path = ROOT / "configs/sweep" / name
    plan = yaml.safe_load(path.read_text().replace("../", f"{ROOT}/configs/"))
    plan["runs"] = dict([next(iter(plan["runs"].items()))])
    Path("first.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    Sweep(Path("first.yaml")).check()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.name in LONG else [], id=path.name)
        for path in SHIPPED
    ],
)
def test_shipped_sweeps_would_be_taken(path: Path) -> None:
    Sweep(path).check()
