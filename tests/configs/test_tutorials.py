"""docs/tutorials/: each page from its first to its last command, with fewer updates and a smaller model.

The pretraining that they begin with is tested with the README.
"""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, blocks, commands
from tests.unit.hub.conftest import make_model

PAGES = sorted(path.name for path in (ROOT / "docs/tutorials").glob("*.md"))
FEW = ["--max-steps", "2", "--num-workers", "0"]
SMALL = {'("train", 100)': '("train", 48)', '("train", 120)': '("train", 60)', '"train", 400': '"train", 24'}


def test_there_are_pages() -> None:
    assert len(PAGES) == 3


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lancedb", reason="needs the extra `search`")
    monkeypatch.chdir(tmp_path)
    name = f"docs/tutorials/{page}"
    (script,) = blocks(name, "python")
    for whole, part in SMALL.items():
        script = script.replace(whole, part)
    exec(script, {})
    for run in ("quickstart", "quickstart_audio"):
        make_model().save_pretrained(f"runs/{run}/model")
    for words in commands(name):
        if words[0] == "fit":
            assert words[2] in ("quickstart", "quickstart_audio")
            continue
        run = [found for word in words for found in (sorted(glob.glob(word)) if "*" in word else [word])]
        assert main([*run, *(FEW if words[0] == "finetune" else [])]) == 0, words
    for file in tmp_path.glob("*.html"):
        assert "<img" in file.read_text(encoding="utf-8")
