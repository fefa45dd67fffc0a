"""tasks/video/README.md: the command, on less work and from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, commands

LESS = {
    "trainer.max_steps": "2",
    "trainer.val_check_interval": "2",
    "trainer.enable_progress_bar": "false",
    "model.init_from": "null",
    "model.backbone.transformer.preset": "debug",
    "data.size": "16",
    "data.evaluation_size": "8",
    "data.batch_size": "4",
    "data.num_workers": "0",
}


def test_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    (words,) = commands("tasks/video/README.md")
    assert main([*words, *(part for key, value in LESS.items() for part in (f"--{key}", value))]) == 0
    report = Path("runs/video/report.md").read_text()
    assert "accuracy_top5" in report
    assert "ClipScenes" in report
