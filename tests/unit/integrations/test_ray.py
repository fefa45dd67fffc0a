"""embed --ray: the files are those of a single process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.embedding.conftest import content, embed, model  # noqa: F401

pytest.importorskip("pyarrow", reason="needs the extra `search`")
ray = pytest.importorskip("ray", reason="needs the extra `ray`")
pytest.importorskip("ray.data", reason="needs the extra `ray`")


@pytest.fixture(autouse=True)
def _stop():
    yield
    ray.shutdown()


@pytest.mark.timeout(900)
def test_the_files_are_those_of_a_single_process(model, capsys):  # noqa: F811
    Path("files/2.png").write_bytes(b"no image")
    Path("files/texts.txt").write_bytes(b"one\ntw\xffo\nthree\n" * 8)
    words = ("files", "--on-error", "skip", "--num-workers", "0")
    assert embed(*words, "--to", "single") == 0
    assert embed(*words, "--to", "out", "--ray", "1") == 0
    printed = capsys.readouterr().out
    assert "9 skipped" in printed
    assert len(list(Path("out").glob("part-*.parquet"))) == 5
    assert content("out") == content("single")
    Path("out/part-000002.parquet").unlink()
    assert embed(*words, "--to", "out", "--ray", "1") == 0
    printed = capsys.readouterr().out
    assert "there already" in printed
    assert content("out") == content("single")
    assert json.loads(Path("out/_failed.jsonl").read_text().splitlines()[0])["id"].endswith("2.png")
    capsys.readouterr()
    assert embed("files", "--to", "strict", "--ray", "1") == 2
    assert "2.png: unreadable image" in capsys.readouterr().err
