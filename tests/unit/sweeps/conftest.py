"""A working directory with a config, and a program that stands in for real runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from onepeace_pl.sweeps.sweep import Sweep

FAKE = Path(__file__).with_name("fake_run.py")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("onepeace_pl.sweeps.trial_run.PROGRAM", (sys.executable, str(FAKE)))
    monkeypatch.setattr("onepeace_pl.sweeps.sweep.check_commands", lambda rows: None)
    Path("a.yaml").write_text("x: 1\n")
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write ``s.yaml``: one run ``a`` by default."""

    def call(**content: Any) -> Path:
        path = Path("s.yaml")
        path.write_text(yaml.safe_dump({"runs": {"a": {"config": "a.yaml"}}} | content, sort_keys=False))
        return path

    return call


@pytest.fixture
def sweep(write: Callable[..., Path]) -> Callable[..., Sweep]:
    return lambda **content: Sweep(write(**content))


@pytest.fixture
def starts(folder: Path) -> Callable[[], list[str]]:
    """Return the starts of runs since the last call."""
    path = Path("starts.txt")

    def call() -> list[str]:
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(lines)

    return call
