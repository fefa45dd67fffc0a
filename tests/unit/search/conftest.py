"""A few pictures, sounds and texts, and the small model that embeds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from onepeace_pl import OnePeace
from tests.unit.hub.conftest import TEXTS, make_model


def write_files(folder: Path, count: int = 6) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        soundfile.write(folder / f"{i}.wav", rng.normal(size=8000) / 5, 16000)
    (folder / "texts.txt").write_text("\n".join(TEXTS) + "\n")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnePeace:
    """The model, also in folder m, beside the folder files of 6 pictures, 6 sounds and 4 texts."""
    monkeypatch.chdir(tmp_path)
    write_files(Path("files"))
    made = make_model()
    made.save_pretrained("m")
    return made
