"""The toy suite of the command line's tests stands in for the real experiment; every test runs in an empty
folder."""

import sys
from pathlib import Path

import pytest

CLI_TESTS = Path(__file__).parents[1] / "cli"
sys.path.insert(0, str(CLI_TESTS))


@pytest.fixture(autouse=True)
def _toy_in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toy import ToyExperiment

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(CLI_TESTS / "outside")
    monkeypatch.setattr("onepeace_pl.cli.lightning.default_experiment", lambda: ToyExperiment)


@pytest.fixture
def configs() -> Path:
    return CLI_TESTS / "toy_configs"
