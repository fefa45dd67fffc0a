"""docs/guide/serve.md: its server answers its example."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, blocks
from tests.unit.hub.conftest import make_model

PAGE = "docs/guide/serve.md"


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra `serve`")
    pytest.importorskip("lancedb", reason="needs the extra `search`")
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("runs/quickstart_audio/model")
    scenes = ["--scenes", "0", "--eval-scenes", "13", "--image-size", "64", "--seconds", "1"]
    assert main(["triworld", "write", "--out", "world", *scenes]) == 0
    index = ["index", "runs/quickstart_audio/model", "world/images/val", "world/audio/val"]
    assert main([*index, "--to", "world/index", "--device", "cpu"]) == 0
    (command,) = [line for line in "".join(blocks(PAGE, "")).splitlines() if " serve " in line]
    words = [sys.executable, *shlex.split(command)[1:], "--port", "0", "--device", "cpu"]
    path = ":".join([str(ROOT), *sys.path])
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": path}) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert address is not None
            known: dict[str, object] = {}
            capsys.readouterr()
            for example in blocks(PAGE, "python"):
                exec(example.replace("http://127.0.0.1:8000", address[0]), known)
            title, score, label, _ = capsys.readouterr().out.split()
            assert title.endswith(".png")
            assert -1 <= float(score) <= 1
            assert label in ("bell", "drum", "frog")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
