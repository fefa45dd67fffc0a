"""The commands of docs/guide/performance.md, on less work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from onepeace_pl.cli import main
from onepeace_pl.cli.stand_in import resolve
from tests.configs.pages import ROOT, SHORT, commands

ONCE = ["--preset", "debug", "--rounds", "1", "--threads", "1"]
LESS = {
    "step": ["--preset", "debug", "--batch", "2", "--rounds", "1"],
    "bias": ["--preset", "debug", "--rounds", "1"],
    "ablation": ["--preset", "debug", "--batch", "2", "--rounds", "2"],
    "attention": ["--preset", "debug", "--rounds", "1", "--length", "20"],
    "layer": ["--preset", "debug", "--rounds", "1", "--length", "20"],
    "memory": ["--preset", "debug", "--assert-ratio", "9"],
    "loss": [],
    "weights": ["--preset", "debug", "--rounds", "1"],
    "dense": ["--preset", "debug", "--size", "64"],
    "data": ["--rows", "10500", "--ranks", "1", "--num-workers", "0", "--batch", "4"],
    "count": ["--batch-size", "2"],
}
HEADS = {
    "UPerNet": {"width": 16},
    "Mask2Former": {"width": 32, "queries": 8, "heads": 4, "encoder_layers": 1, "decoder_layers": 1},
    "CascadeRCNN": {"convolutions": 1, "width": 32, "proposals": 16, "samples": 16},
    "SimpleFeaturePyramid": {"global_blocks": [1]},
}
SMALL = ["--model.backbone.transformer.preset", "debug", "--trainer.precision", "32-true"]


def smaller(task: str) -> str:
    """Write a task's file with smaller parts, and return its path."""
    described = yaml.safe_load(Path(task).read_text())
    for name, part in described["init_args"].items():
        if name in ("neck", "head"):
            part = {"class_path": part} if isinstance(part, str) else part
            less = HEADS.get(part["class_path"].rpartition(".")[2], {})
            described["init_args"][name] = part | {"init_args": part.get("init_args", {}) | less}
    Path("smaller.yaml").write_text(yaml.safe_dump(described))
    return "smaller.yaml"


COMMANDS = commands("docs/guide/performance.md")
LONG = [words for words in COMMANDS if words[:2] == ["bench", "data"]]  # it starts processes
ALIKE = [words for words in COMMANDS if "runs/share" in words or "runs/whole" in words]


@pytest.mark.parametrize("words", ALIKE, ids=" ".join)
def test_command_is_taken(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    assert resolve(words[1:])["trainer"]["max_steps"] == 320


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            words,
            marks=[pytest.mark.slow] if words in ALIKE + LONG else [],
            id=" ".join(words),
        )
        for words in COMMANDS
    ],
)
def test_command_runs(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    if not torch.cuda.is_available() and words[1] != "count":
        words = ["cpu" if word == "cuda" else word for word in words]
    if words[0] == "fit":
        small = SMALL if any("4b" in word for word in words) else []
        assert main([*words, *SHORT, *small]) == 0
        (report,) = tmp_path.glob("runs/*/report.md")
        assert "samples/s" in report.read_text()
        return
    assert words[0] == "bench"
    if "--task" in words:
        words[words.index("--task") + 1] = smaller(words[words.index("--task") + 1])
    if words[1] == "count":
        words = ["debug" if word == "base" else word for word in words]
    of_config = words[2].endswith(".yaml")
    less = [*SMALL, "--data.batch_size", "2"] if of_config else LESS[words[1]]
    assert main([*words, *less]) == 0
    if words[1] == "step" and of_config:
        assert "MFU: " in capsys.readouterr().out
        return
    said = {
        "memory": "original",
        "dense": "inference",
        "ablation": "without",
        "weights": "int8",
        "data": "start, s",
        "count": "kernels",
    }.get(words[1], "ours")
    assert said in capsys.readouterr().out
