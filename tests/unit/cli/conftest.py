"""The toy suite stands in for the real experiment; every test runs in an empty folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy import ToyExperiment

from onepeace_pl.cli import main

HERE = Path(__file__).parent
CONFIGS = HERE / "toy_configs"


@pytest.fixture(autouse=True)
def _toy_in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(HERE / "outside")
    monkeypatch.setattr("onepeace_pl.cli.lightning.default_experiment", lambda: ToyExperiment)


@pytest.fixture
def configs() -> Path:
    return CONFIGS


@pytest.fixture
def classify() -> Path:
    return CONFIGS / "experiment/classify.yaml"


@pytest.fixture
def by_turns() -> Path:
    return CONFIGS / "experiment/by_turns.yaml"


@pytest.fixture
def depth() -> Path:
    return CONFIGS / "override/depth.yaml"


@pytest.fixture
def resolve(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Resolve a command line of ``fit`` through the real parser."""

    def call(*words: object) -> dict[str, Any]:
        assert main(["fit", *map(str, words), "--print_config"]) == 0
        resolved: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
        return resolved

    return call
