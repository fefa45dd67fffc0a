"""docs/guide/dense_tasks.md: its commands on less work; answers, drawings, results in COCO format; its transform."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, blocks, commands

FEW = (
    "--data.size",
    "16",
    "--data.evaluation_size",
    "4",
    "--data.num_workers",
    "0",
    "--model.init_from",
    "null",
    "--model.backbone.transformer.preset",
    "debug",
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
def test_commands_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    fit, predict = (
        words for words in commands("docs/guide/dense_tasks.md") if any(name in word for word in words)
    )
    assert main([*fit, *FEW, *SHORT]) == 0
    run = Path("runs", name)
    assert "predictions.png" in (run / "report.md").read_text()
    assert Image.open(run / "predictions.png").width > 2 * 192
    assert main(predict) == 0
    answers = [json.loads(line) for line in (run / "predictions/triworld.jsonl").read_text().splitlines()]
    drawn = sorted(path.stem for path in (run / "predictions/triworld").glob("*.png"))
    assert drawn == sorted(answer["id"] for answer in answers)
    assert len(drawn) == 4
    side = 48 if name == "segmentation" else 192  # enlarged, so that names can be read
    assert np.asarray(Image.open(run / f"predictions/triworld/{drawn[0]}.png")).shape == (side, side, 3)
    assert "drawing" not in answers[0]
    described = json.loads((run / "model/task.json").read_text())["transform"]
    assert described["class_path"].endswith("JointTransform")
    new = str(run / f"predictions/triworld/{drawn[0]}.png")
    assert main(["predict", str(run), new, "--device", "cpu", "--to", "new.jsonl"]) == 0
    assert json.loads(Path("new.jsonl").read_text()).keys() == answers[0].keys()
    if name == "detection":
        assert isinstance(json.loads((run / "predictions/triworld.coco.json").read_text()), list)


def test_the_transform_is_a_shipped_one() -> None:
    (text,) = blocks("docs/guide/dense_tasks.md", "yaml")
    shown = yaml.safe_load(text)["transform"]
    shipped = yaml.safe_load((ROOT / "configs/parts/data/ade20k.yaml").read_text())["init_args"]["transform"]
    assert shown["init_args"]["evaluation"] == shipped["init_args"]["evaluation"]
    assert all(step in shipped["init_args"]["train"] for step in shown["init_args"]["train"])
