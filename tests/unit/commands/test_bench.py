"""``bench``: what it prints and writes, and when it fails."""

import json
from pathlib import Path

import pytest

from onepeace_pl.cli import main

SMALL = ["--preset", "debug", "--batch", "2", "--rounds", "1"]


def test_attention_names_its_kernels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "numbers.json"
    assert main(["bench", "attention", *SMALL, "--length", "5", "--json", str(target)]) == 0
    numbers = json.loads(target.read_text())
    learnt = numbers["attention 5, forward and backward, learned bias"]
    assert learnt["kernel"] == "shared_bias"
    assert learnt["least"] <= learnt["ratio"] <= learnt["most"]
    assert "shared_bias" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["step", "layer", "bias"])
def test_a_ratio_can_be_asserted(what: str) -> None:
    assert main(["bench", what, *SMALL, "--assert-ratio", "0"]) == 0
    assert main(["bench", what, *SMALL, "--assert-ratio", "1e9"]) == 1


def test_growth_of_the_losses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "loss", "--batches", "16", "32", "--fit-exponent"]) == 0
    assert "denoising, ours" in capsys.readouterr().out
    assert main(["bench", "loss", "--batches", "16"]) == 2


def test_memory_of_a_dense_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(
        "class_path: onepeace_pl.tasks.segmentation.Segmentation\n"
        "init_args:\n"
        "  neck: onepeace_pl.dense.BlockFeaturePyramid\n"
        "  head: {class_path: onepeace_pl.tasks.segmentation.UPerNet, init_args: {width: 16}}\n"
    )
    target = tmp_path / "numbers.json"
    words = ["bench", "dense", "--task", str(task), "--label", "mask", "--preset", "debug", "--size", "64"]
    assert main([*words, "--json", str(target)]) == 0
    numbers = json.loads(target.read_text())
    assert 0 < numbers["inference"]["bytes"] < numbers["training"]["bytes"]
    assert numbers["training, blocks computed again"]["bytes"] < numbers["training"]["bytes"]
    assert "init_weights" not in capsys.readouterr().out
    task.write_text("nothing: here\n")
    assert main(words) == 2
    assert "not the file of a dense task" in capsys.readouterr().err
