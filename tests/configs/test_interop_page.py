"""The examples of docs/guide/interop.md run, in their order. Needs the extra ``sentence-transformers``, and mteb."""

import csv

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.configs.pages import blocks
from tests.unit.hub.conftest import make_model

pytest.importorskip("sentence_transformers", reason="needs the extra sentence-transformers")
pytest.importorskip("mteb", reason="needs mteb: pip install 'mteb>=2.26,<3'")

PAGE = "docs/guide/interop.md"


@pytest.mark.filterwarnings("ignore:.*(were|was) cut")
def test_every_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    make_model().save_pretrained("runs/quickstart_audio/model")
    for name in ("photo.png", "a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(name)
    soundfile.write("bell.flac", rng.normal(0, 0.1, 16000), 16000)
    with open("birds.csv", "w", newline="") as file:
        csv.writer(file).writerows([["image", "text"], ["a.png", "a robin"], ["b.png", "a wren"]])
    examples = blocks(PAGE, "python")
    assert len(examples) == 4
    found = {}
    for example in examples:
        exec(example.replace("size=256", "size=16"), found)
    assert found["both"].shape == found["joint"].shape == (1, 32)
    assert found["audio"].shape == (2, 32)
    assert (found["both"] != found["joint"]).any()
    assert found["small"].dtype == np.int8
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [
        f"TriWorld{name}Retrieval" for name in ("T2I", "A2I", "AT2I")
    ]
    assert len(found["results"].task_results) == 2
