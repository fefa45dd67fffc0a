"""docs/guide/predict.md: its commands and its Python run."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.tasks.classification import Classification
from tests.configs.pages import blocks, commands
from tests.unit.prediction.runs import make_run, write_images

PAGE = "docs/guide/predict.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("runs/pets"), Classification)
    for path, name in zip(write_images(Path("photos"), 2), ("a.jpg", "b.png"), strict=True):
        with Image.open(path) as image:
            image.save(f"photos/{name}")
    said = commands(PAGE)
    assert len(said) == 2
    for words in said:
        assert main([*words, "--device", "cpu"]) == 0
    assert Path("pets.csv").read_text().count("\n") == 5
    (example,) = blocks(PAGE, "python")
    names: dict[str, object] = {}
    exec(example, names)
    assert len(names["lines"]) == 2  # type: ignore[arg-type]
    assert Path("a.png").is_file()
