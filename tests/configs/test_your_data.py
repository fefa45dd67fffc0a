"""docs/guide/your_data.md: the file and the command, as the page gives them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.data.sources import ManifestSource
from onepeace_pl.triworld import TriWorldSource
from tests.configs.pages import ROOT, blocks, commands


def test_the_pages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    rows = TriWorldSource(size=12, modalities=("image", "text"))
    with Path("pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "text"])
        for number in range(12):
            Image.fromarray(np.asarray(rows[number].fields["image"])).save(f"{number}.png")
            table.writerow([f"{number}.png", rows[number].fields["text"]])
    Path("11.png").write_bytes(b"no picture")
    said, *_ = blocks("docs/guide/your_data.md", "yaml")
    Path("my_data.yaml").write_text(said)
    (words,) = commands("docs/guide/your_data.md")
    assert main(words) == 0
    assert Path("runs/quickstart/model/tokenizer.json").is_file()
    skipped = Path("runs/quickstart/skipped.tsv").read_text()
    assert "11.png" in skipped


ROWS = {
    "classification": ("image,kind", "a.png,cat"),
    "several classes": ("audio,tags", 'a.wav,"dog, rain"'),
    "grounding": ("image,text,x0,y0,x1,y1", "a.png,the dog,1,2,30,20"),
    "open questions": ("image,text,answer", "a.png,is it?,yes"),
    "multiple choice": ("audio,text,a,b,c,right", "a.wav,what?,dog,cat,rain,cat"),
    "statements": ("left,right,says,holds", "a.png,a.png,two dogs,true"),
}
LABELS = {
    "classification": {"class": "cat"},
    "several classes": {"classes": ("dog", "rain")},
    "grounding": {"box": (1, 2, 30, 20), "image_size": (40, 30)},
    "open questions": {"answers": {"yes": 1.0}},
    "multiple choice": {"answer": 1},
    "statements": {"truth": True},
}


def test_a_file_serves_every_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30)).save("a.png")
    _, said, *_ = blocks("docs/guide/your_data.md", "yaml")
    options = yaml.safe_load(said)
    assert options.keys() == ROWS.keys()
    for task, lines in ROWS.items():
        Path(options[task]["path"]).write_text("\n".join(lines) + "\n")
        row = ManifestSource(**options[task])[0]
        assert row.labels == LABELS[task], task
        assert isinstance(row.fields.get("text"), tuple) == (task == "multiple choice")


def test_the_check_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(3600, dtype=np.uint8).reshape(40, 30, 3)).save("a.png")
    Path("pairs.csv").write_text("image,text\na.png,a dog\n")
    Path("my_data.yaml").write_text(blocks("docs/guide/your_data.md", "yaml")[0])
    (said,) = [block for block in blocks("docs/guide/your_data.md", "") if "data check" in block]
    assert main(said.split()[3:]) == 0
