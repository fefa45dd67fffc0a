"""docs/tutorials/: each page from its first to its last command, with fewer updates."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, SHORT, blocks, commands

PAGES = sorted(path.name for path in (ROOT / "docs/tutorials").glob("*.md"))
FEW = {"fit": SHORT, "finetune": ["--max-steps", "2"]}
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
    for words in commands(name):
        run = [found for word in words for found in (sorted(glob.glob(word)) if "*" in word else [word])]
        assert main([*run, *FEW.get(words[0], [])]) == 0, words
    for file in tmp_path.glob("*.html"):
        assert "<img" in file.read_text(encoding="utf-8")
