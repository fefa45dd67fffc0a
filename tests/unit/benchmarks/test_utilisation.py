"""``bench step CONFIG``: phases of a step, and its utilisation of a device."""

import json
from pathlib import Path

import pytest

from onepeace_pl.cli import main

DEBUG = ["--model.backbone.transformer.preset", "debug", "--data.batch_size", "4", "--rounds", "2"]


def test_step_of_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, trace = tmp_path / "numbers.json", tmp_path / "trace.json"
    words = ["--mfu", "epyc", "--trace", str(trace), "--json", str(numbers)]
    assert main(["bench", "step", "quickstart", *words, *DEBUG]) == 0
    found = json.loads(numbers.read_text())
    assert set(found["phases"]) == {"input", "forward", "backward", "update", "logging"}
    assert all(each["low"] <= each["value"] <= each["high"] for each in found["phases"].values())
    seconds = found["step"]["value"] / 1e3
    assert found["mfu"]["value"] == pytest.approx(found["model_flops"] / seconds / 7.37e12, rel=0.3)
    assert any("addmm" in event.get("name", "") for event in json.loads(trace.read_text())["traceEvents"])
    assert "MFU: " in capsys.readouterr().out


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "step", "quickstart", "--mfu", "abacus"]) == 2
    assert "no roofline of 'abacus'" in capsys.readouterr().err
    assert main(["bench", "step", "quickstart", "--rounds", "0"]) == 2
    assert "--rounds 0 must be at least 1" in capsys.readouterr().err
    assert main(["bench", "step", "--mfu", "h200"]) == 2
    assert "--mfu and --trace are of a config's step; name the config" in capsys.readouterr().err
    assert main(["bench", "step", "--width=3"]) == 2
    assert "unrecognized arguments: --width=3" in capsys.readouterr().err
