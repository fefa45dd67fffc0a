"""docs/guide/shards.md: its commands and files, as the page gives them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.data.sources import TarSource
from tests.configs.pages import ROOT, blocks, commands

PAGE = "docs/guide/shards.md"


def test_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    with open("pairs.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["image", "text"])
        for number in range(8):
            pixels = np.random.default_rng(number).integers(0, 255, (50, 60, 3), np.uint8)
            Image.fromarray(pixels).save(f"{number}.jpg")
            lines.writerow([f"{number}.jpg", f"picture of the number {number}"])
    shard, index, fit = commands(PAGE)
    assert main(shard) == 0
    assert main(index) == 0
    assert capsys.readouterr().out.count("8 rows in 1 shards") == 2
    config, options, *_ = blocks(PAGE, "yaml")
    Path("shards.yaml").write_text(config)
    assert main([*fit, "--model.backbone.transformer.preset", "debug"]) == 0
    usual = yaml.safe_load(options)["usual endings"]
    assert TarSource(**usual)[3].fields["text"] == "picture of the number 3"
    with pytest.raises(ValueError, match="no key 'caption'"):
        TarSource(**yaml.safe_load(options)["a key of the JSON member"])[0]
    with pytest.raises(ValueError, match=r"no member ends in \.motion\.npy"):
        TarSource(**yaml.safe_load(options)["a modality of your own"])
