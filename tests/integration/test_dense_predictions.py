"""``predict`` of dense tasks: answers, drawn pictures, results in COCO's format; a fit shows what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onepeace_pl.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"
FEW = (
    "--data.size",
    "16",
    "--data.evaluation_size",
    "4",
    "--data.num_workers",
    "0",
    "--model.init_from",
    "null",
)
SHORT = (
    "--trainer.max_steps",
    "1",
    "--trainer.val_check_interval",
    "1",
    "--trainer.enable_progress_bar",
    "false",
)


@pytest.mark.parametrize("name", ["segmentation", "detection"])
def test_fit_and_predict(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = ("--config", str(CONFIGS / f"triworld/{name}.yaml"), *FEW)
    assert main(["fit", *config, *SHORT, "--run", "runs/a"]) == 0
    assert "predictions.png" in Path("runs/a/report.md").read_text()
    assert Image.open("runs/a/predictions.png").width > 2 * 96
    assert main(["predict", "--ckpt_path", "runs/a/checkpoints/last.ckpt"]) == 0
    folder = Path("runs/a/predictions")
    answers = [json.loads(line) for line in (folder / "triworld.jsonl").read_text().splitlines()]
    drawn = sorted(path.stem for path in (folder / "triworld").glob("*.png"))
    assert drawn == sorted(answer["id"] for answer in answers)
    assert len(drawn) == 4
    assert np.asarray(Image.open(folder / f"triworld/{drawn[0]}.png")).shape == (96, 96, 3)
    assert "drawing" not in answers[0]
    if name == "detection":
        assert isinstance(json.loads((folder / "triworld.coco.json").read_text()), list)
