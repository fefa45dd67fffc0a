"""docs/guide/calibration.md: its command, on fewer rows, and its example."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onepeace_pl.cli import main as cli
from tests.configs.pages import blocks, commands
from tests.unit.hub.conftest import make_model

PAGE = "docs/guide/calibration.md"


def test_the_command_and_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("runs/quickstart_audio/model")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save("photo.png")
    (words,) = commands(PAGE)
    assert cli([*words, "--ids", "24", "--report-ids", "24", "--device", "cpu"]) == 0
    (example,) = blocks(PAGE, "python")
    found: dict[str, object] = {}
    exec(example, found)
    assert found["scores"].shape == (1, 3)  # type: ignore[attr-defined]
    assert (found["raw"] != found["pool"]["text"]).any()  # type: ignore[index]
