"""docs/your_data.md: the file and the command, as the page gives them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.data.triworld import TriWorldSource
from tests.configs.pages import ROOT, blocks, commands


def test_the_pages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    rows = TriWorldSource(size=12, fields=("image", "text"))
    with Path("pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "text"])
        for number in range(12):
            Image.fromarray(np.asarray(rows[number].fields["image"])).save(f"{number}.png")
            table.writerow([f"{number}.png", rows[number].fields["text"]])
    Path("11.png").write_bytes(b"no picture")
    (said,) = blocks("docs/your_data.md", "yaml")
    Path("my_data.yaml").write_text(said)
    (words,) = commands("docs/your_data.md")
    assert main(words) == 0
    assert Path("runs/quickstart/model/tokenizer.json").is_file()
    skipped = Path("runs/quickstart/skipped.tsv").read_text()
    assert "11.png" in skipped
