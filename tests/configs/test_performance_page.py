"""The commands of docs/performance.md, on less work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, SHORT, commands

LESS = {
    "step": ["--preset", "debug", "--batch", "2", "--rounds", "1"],
    "bias": ["--preset", "debug", "--rounds", "1"],
    "attention": ["--preset", "debug", "--rounds", "1", "--length", "20"],
    "layer": ["--preset", "debug", "--rounds", "1", "--length", "20"],
    "loss": [],
    "dense": ["--preset", "debug", "--size", "64"],
}
SMALL = ["--model.backbone.transformer.preset", "debug", "--trainer.precision", "32-true"]


@pytest.mark.parametrize("words", commands("docs/performance.md"), ids=" ".join)
def test_command_runs(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    if not torch.cuda.is_available():
        words = ["cpu" if word == "cuda" else word for word in words]
    if words[0] == "fit":
        small = SMALL if any("4b" in word for word in words) else []
        assert main([*words, *SHORT, *small]) == 0
        (report,) = tmp_path.glob("runs/*/report.md")
        assert "samples/s" in report.read_text()
        return
    assert words[0] == "bench"
    assert main([*words, *LESS[words[1]]]) == 0
    assert ("inference" if words[1] == "dense" else "ours") in capsys.readouterr().out
