"""docs/guide/export.md: its commands on one modality, and its examples."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from onepeace_pl.cli import main
from tests.configs.pages import blocks, commands
from tests.unit.hub.conftest import make_model

PAGE = "docs/guide/export.md"
CAPTIONS = ["a big red bell", "two green clocks in the snow"]


def text_alone(words: list[str]) -> list[str]:
    stop = words.index("--modality") if "--modality" in words else len(words)
    return [*words[:stop], "--modality", "text"]


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model()
    model.save_pretrained("runs/quickstart_audio/model")
    onnx, other = commands(PAGE)
    assert main(text_alone(other)) == 0
    first, with_onnx, alone = blocks(PAGE, "python")
    found: dict = {}
    exec(first, found)
    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(found["vectors"], model.encode(text=CAPTIONS), **close)
    exec(alone, found)
    torch.testing.assert_close(found["one"], model.encode(text=CAPTIONS[:1]), **close)
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("the rest of the page needs the extra `export`")
    assert main(text_alone(onnx)) == 0
    exec(with_onnx, found)
    torch.testing.assert_close(torch.from_numpy(found["vectors"]), model.encode(text=CAPTIONS), **close)
