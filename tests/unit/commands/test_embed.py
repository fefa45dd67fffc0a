"""embed: vectors and similarities from the shell are those of the embedder."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.cli import main as cli
from tests.unit.hub.conftest import TEXTS, make_model


@pytest.fixture
def model(tmp_path) -> OnePeace:
    made = make_model()
    made.save_pretrained("m")
    rng = np.random.default_rng(0)
    for i in range(2):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(f"{i}.png")
        soundfile.write(f"{i}.wav", rng.normal(size=17000) / 5, 16000)
    soundfile.write("fast.wav", rng.normal(size=44100) / 5, 44100)
    return made


def test_table_of_similarities(model, capsys):
    assert cli(["embed", "m", "--image", "0.png", "1.png", "--text", *TEXTS[:2], "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    table = model.similarity(model.encode(image=["0.png", "1.png"]), model.encode(text=TEXTS[:2]))
    for row, name in zip(table, ("0.png", "1.png"), strict=True):
        (line,) = [line for line in printed.splitlines() if line.startswith(name)]
        assert [float(cell) for cell in line.split()[1:]] == pytest.approx(row.tolist(), abs=6e-4)


@pytest.mark.parametrize("device", ["cpuu", "cuda:99"])
def test_a_device_that_is_not_there(model, capsys, device):
    assert cli(["embed", "m", "--text", "a", "--device", device]) == 2
    assert capsys.readouterr().err.startswith(f"error: no device '{device}' here; there are cpu")
    with pytest.raises(ValueError, match=f"no device '{device}' here"):
        OnePeace.from_pretrained("m", device=torch.device(device) if device != "cpuu" else device)


def test_three_modalities_give_three_tables(model, capsys):
    cli(["embed", "m", "--image", "0.png", "--text", "a dog", "--audio", "0.wav", "1.wav", "--device", "cpu"])
    printed = capsys.readouterr().out
    assert printed.count("\n\n") == 3
    assert "audio: 2 vectors of 32 dimensions" in printed


def test_vectors_in_a_file(model):
    cli(["embed", "m", "--text", *TEXTS, "--audio", "0.wav", "--to", "out/v.npz", "--device", "cpu"])
    found = np.load("out/v.npz")
    assert torch.equal(torch.from_numpy(found["text"]), model.encode(text=TEXTS))
    assert found["text_items"].tolist() == TEXTS
    cli(["embed", "m", "--text", *TEXTS, "--to", "v.csv", "--device", "cpu"])
    with open("v.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["item"] for row in rows] == TEXTS
    values = torch.tensor([[float(row[f"v{i}"]) for i in range(32)] for row in rows])
    assert torch.equal(values, model.encode(text=TEXTS))


@pytest.mark.parametrize(("fuse", "expected"), [("sum", "sum"), ("joint", "joint"), ("default", "sum")])
def test_fused_vectors(model, fuse, expected):
    words = ["--image", "0.png", "--text", "a dog", "--fuse", fuse, "--to", "v.npz", "--device", "cpu"]
    assert cli(["embed", "m", *words]) == 0
    vectors = model.encode(image=["0.png"], text=["a dog"], fuse=expected)
    assert torch.equal(torch.from_numpy(np.load("v.npz")["image+text"]), vectors)


def test_refusals(model, capsys):
    for words, message in (
        ([], "nothing to embed"),
        (["--text", "a", "--to", "v.txt"], "must be .npz or .csv"),
        (["--image", "none.png"], "none.png"),
        (["--audio", "fast.wav", "--no-resample"], "44100 Hz instead of 16000"),
        (["--text", "a", "--image", "0.png", "1.png", "--fuse", "sum"], "2 image, 1 text"),
    ):
        assert cli(["embed", "m", *words, "--device", "cpu"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert cli(["embed", "m", "--audio", "fast.wav", "--device", "cpu"]) == 0


def test_arguments_that_are_no_utf8(model, capsys):
    words = ["--text", "a dog \udcff", "--image", "0.png", "--to", "v.csv", "--device", "cpu"]
    assert cli(["embed", "m", *words]) == 0
    assert "a dog \ufffd" in capsys.readouterr().out
    assert "a dog \ufffd" in Path("v.csv").read_text("utf-8")
