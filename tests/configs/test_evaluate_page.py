"""docs/guide/evaluate.md: its commands, and results equal to those of ``validate``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.triworld import TriWorldSource
from tests.configs.pages import ROOT, blocks, commands
from tests.unit.hub.conftest import make_model

PAGE = "docs/guide/evaluate.md"


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("runs/quickstart_audio/model")
    write, evaluate = commands(PAGE)
    assert main([("12" if word == "200" else word) for word in write]) == 0
    assert main([*evaluate, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out.splitlines()
    (shown,) = blocks(PAGE, "")
    for line in shown.replace("200", "12").splitlines():
        (name, *_) = line.split("  ")
        assert any(each.startswith(name) for each in printed), name
    results = json.loads(Path("runs/world/results.json").read_text())
    assert len(results["counts"]) == 3
    (example,) = blocks(PAGE, "python")
    exec(example)
    assert "Interval(value=1.0, low=1.0, high=1.0)" in capsys.readouterr().out


def test_the_source_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("m")
    rng = np.random.default_rng(0)
    pictures, sounds = ["id,image"], ["id,audio"]
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(f"{i}.png")
        soundfile.write(f"{i}.wav", rng.normal(size=16000) / 5, 16000)
        pictures.append(f"{i},{i}.png")
        sounds.append(f"{i},{i}.wav")
    Path("pictures.csv").write_text("\n".join(pictures))
    Path("sounds.csv").write_text("\n".join(sounds))
    (said,) = blocks(PAGE, "yaml")
    Path("mine.yaml").write_text(said)
    assert main(["evaluate", "m", "--data", "mine.yaml", "--to", "out", "--device", "cpu"]) == 0
    counts = json.loads(Path("out/results.json").read_text())["counts"]
    assert counts["mine/audio->image"] == {"queries": 4, "candidates": 4}


def test_results_are_those_of_validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    rows = TriWorldSource(size=24, modalities=("image", "text"))
    with Path("pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "image", "text"])
        for number in range(24):  # two captions of each picture
            if number % 2 == 0:
                Image.fromarray(np.asarray(rows[number].fields["image"])).save(f"{number}.png")
            first = number - number % 2
            table.writerow([first, f"{first}.png", rows[number].fields["text"]])
    said = blocks("docs/guide/your_data.md", "yaml")[0].replace("pairs.csv", "pairs.csv, id_column: id")
    Path("my_data.yaml").write_text(said)
    short = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]
    small = ["--model.backbone.transformer.preset", "debug", "--data", "my_data.yaml"]
    assert main(["fit", "--config", "configs/quickstart.yaml", *small, *short]) == 0
    run = Path("runs/quickstart")
    assert main(["validate", "--ckpt_path", str(run / "checkpoints/best.ckpt")]) == 0
    expected = json.loads((run / "results-validate.json").read_text())
    for data in (["my_data.yaml"], ["pairs.csv"]):
        assert main(["evaluate", str(run / "model"), "--data", *data, "--to", "own", "--device", "cpu"]) == 0
        found = json.loads(Path("own/results.json").read_text())
        name = "mine" if data == ["my_data.yaml"] else "pairs"
        for kind in ("metrics", "intervals", "counts", "references"):
            values = {key.replace(f"{name}/", "val/mine/"): value for key, value in found[kind].items()}
            wanted = {key: value for key, value in expected[kind].items() if key.startswith("val/mine/")}
            assert len(wanted) > 1
            same = {key: values[key] for key in wanted}
            # the Trainer logs metrics in float32
            assert same == (pytest.approx(wanted, rel=1e-6) if kind == "metrics" else wanted), kind
