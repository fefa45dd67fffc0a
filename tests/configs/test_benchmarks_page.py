"""docs/guide/benchmarks.md: its commands find nothing wrong with made-up files that lie where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onepeace_pl.cli import main
from onepeace_pl.cli.shipped import shipped
from onepeace_pl.data import datasets
from tests.configs.benchmark_files import write_all
from tests.configs.pages import ROOT, commands

COMMANDS = commands("docs/guide/benchmarks.md")
NOT_BENCHMARKS = {"audio_text_tsv", "image_text_tsv", "triworld_audio", "triworld_vision"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmarks")
    write_all(root)
    return root


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_finds_all_right(
    words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    unopened = ["--media", "0"] if words[-1] == "kinetics400" else []
    assert main([*words, *unopened]) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    assert "published are" in out or words[-1] in (
        "imagenet",
        "esc50",
        "esc50_folds",
        "avqa",
        "kinetics400",
        "vqav2_tsv",
    )


def test_every_config_is_checked_and_told_of() -> None:
    said = {words[-1] for words in COMMANDS}
    there = {path.stem for path in (shipped() / "parts/data").glob("*.yaml")}
    assert said == {name for name in there if not name.startswith("triworld")} - NOT_BENCHMARKS
    table = (ROOT / "docs/guide/benchmarks.md").read_text(encoding="utf-8").partition("## File layout")[2]
    assert not [name for name in said if f"`{name}`" not in table]
    assert not [
        name
        for name in datasets.__all__
        if f"`{name}`" not in table
        and name
        not in ("CocoCaptions", "Flickr30kTokens", "VocObjects", "YoloObjects")  # formats of your own data
    ]


def test_nothing_is_right_without_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("esc50", "refcoco", "kinetics400"):
        assert main(["data", "check", name]) == 1


def test_a_layout_names_every_file_that_its_config_reads(capsys: pytest.CaptureFixture[str]) -> None:
    for words in COMMANDS:
        assert main(["data", "layout", words[-1]]) == 0
        text = capsys.readouterr().out
        config = (shipped() / f"parts/data/{words[-1]}.yaml").read_text(encoding="utf-8")
        folders = set(re.findall(r"datasets/([\w+]+)/", config))
        assert not [name for name in folders if f"{name}/" not in text], words
