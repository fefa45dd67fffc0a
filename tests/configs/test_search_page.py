"""docs/guide/search.md: its commands and its example."""

from __future__ import annotations

from pathlib import Path

import pytest

from onepeace_pl.cli import main
from tests.configs.pages import blocks, commands
from tests.unit.hub.conftest import make_model

PAGE = "docs/guide/search.md"


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lancedb", reason="needs the extra `search`")
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("runs/quickstart_audio/model")
    for words in commands(PAGE):
        assert main([*words, *([] if words[0] == "triworld" else ["--device", "cpu"])]) == 0, words
    assert Path("results.html").is_file()
    for example in blocks(PAGE, "python"):
        capsys.readouterr()
        exec(compile(example, PAGE, "exec", dont_inherit=True), {"__name__": "example"})
        assert capsys.readouterr().out.count("world/images/") == 3
