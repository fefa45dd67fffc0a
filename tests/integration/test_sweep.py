"""A sweep of real runs is killed in the middle and goes on: nothing is computed twice, and there is one table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from onepeace_pl.cli import main

ROOT = Path(__file__).parents[2]


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    while not what():
        assert process is None or process.poll() is None, "the sweep ended too early"
        time.sleep(0.1)


@pytest.mark.slow  # with programs that only pretend to train: tests/unit/sweeps/test_sweep.py
def test_a_killed_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    plan: dict[str, Any] = yaml.safe_load((ROOT / "configs/sweep/quick.yaml").read_text())
    run = plan["runs"]["alignment_only"]
    steps = {
        name: {"trainer.max_steps": count, "trainer.val_check_interval": count // 2}
        for name, count in {"short": 2, "long": 160}.items()
    }
    plan |= {"name": "killed", "runs": {name: run | {"options": steps[name]} for name in steps}, "seeds": [0]}
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(plan).replace("../", f"{ROOT}/configs/"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    sweep = subprocess.Popen(
        [sys.executable, "-m", "onepeace_pl", "sweep", str(path)], env=environment, start_new_session=True
    )
    short, long_run = (tmp_path / f"runs/killed/{name},seed=0" for name in ("short", "long"))
    try:
        wait_for(
            lambda: (short / "results.json").exists() and (long_run / "checkpoints/last.ckpt").exists(), sweep
        )
    finally:
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
    before = (short / "results.json").stat().st_mtime_ns
    assert not (long_run / "results.json").exists()
    assert main(["sweep", str(path)]) == 0
    assert (short / "results.json").stat().st_mtime_ns == before
    assert json.loads((short / "trial.json").read_text())["attempts"] == 1
    log = (long_run / "log.txt").read_text()
    assert log.count("$ python -m onepeace_pl fit") == 2
    assert log.count("--ckpt_path last") == 1
    assert "stopped by a signal" in log  # the run ended with its sweep, and left a checkpoint
    assert json.loads((long_run / "results.json").read_text())["steps"] == 160
    table = (tmp_path / "runs/killed/table.md").read_text()
    assert "| short | val/mean_recall |" in table
    assert "| long | val/mean_recall |" in table
