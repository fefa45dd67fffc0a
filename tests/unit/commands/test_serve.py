"""serve through the command line: a process that answers, and ends by Ctrl+C; what is refused."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onepeace_pl.cli import main as cli
from tests.unit.hub.conftest import make_model
from tests.unit.search.conftest import write_files

ROOT = Path(__file__).parents[3]


@contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `serve`; yield the process and its address."""
    command = [sys.executable, "-m", "onepeace_pl", "serve", *words, "--port", "0", "--device", "cpu"]
    path = ":".join([str(ROOT), *sys.path])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PYTHONPATH": path}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert address is not None, line + (process.stderr.read() if process.stderr else "")
            yield process, address[0]
        finally:
            process.kill()


def test_it_answers_until_ctrl_c():
    pytest.importorskip("uvicorn", reason="needs the extra `serve`")
    pytest.importorskip("lancedb", reason="needs the extra `search`")
    write_files(Path("files"), count=1)
    model = make_model()
    model.save_pretrained("runs/tiny/model")
    assert cli(["index", "runs/tiny/model", "files", "--to", "idx", "--device", "cpu"]) == 0
    with serving("runs/tiny/model", "--index", "idx") as (process, address):
        request = urllib.request.Request(
            f"{address}/v1/search",
            json.dumps({"input": "a dog", "k": 1, "model": "tiny"}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            (found,) = json.load(answer)["data"]
        with urllib.request.urlopen(address + "/healthz") as answer:
            assert json.load(answer) == {"status": "ok", "model": "tiny"}
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output, errors) == (0, "ended\n", "")
    assert found["modality"] in ("text", "image", "audio")


def test_refusals(capsys):
    pytest.importorskip("uvicorn", reason="needs the extra `serve`")
    make_model().save_pretrained("m")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, message in (
            (["m", "--port", port], f"127.0.0.1:{port} cannot be listened at"),
            (["m", "--port", "99999"], "--port 99999 must be between 0 and 65535"),
            (["m", "--host", "no.such.host.invalid", "--port", "0"], "cannot be listened at"),
            (["m", "--port", "0", "--max-inputs", "0"], "limits: inputs=0 must be above 0"),
            (["none", "--port", "0"], "no folder none"),
            (["m", "--port", "0", "--index", "none"], "none: no such index"),
        ):
            assert cli(["serve", *words, "--device", "cpu"]) == 2, words
            (line,) = capsys.readouterr().err.splitlines()
            assert message in line


@pytest.mark.parametrize("library", ["uvicorn", "starlette"])
def test_without_the_extra(library, capsys, monkeypatch):
    for name in [library, *(each for each in sys.modules if each.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "onepeace_pl.serving.app", raising=False)
    assert cli(["serve", "m"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: serve needs ")
    assert error.endswith("pip install 'onepeace-pl[serve]'\n")
