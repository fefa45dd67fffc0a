"""predict RUN FILES: files, folders and patterns; formats; what is skipped; mistakes."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl import Predictor
from onepeace_pl.cli import main as cli
from onepeace_pl.tasks.classification import Classification
from tests.unit.prediction.runs import make_run, write_images


@pytest.fixture
def images() -> list[str]:
    make_run(Path("run"), Classification)
    return write_images(Path("pictures"))


def predict(*words: str) -> int:
    return cli(["predict", "run", *words, "--device", "cpu"])


def test_formats(images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    expected = [each.to_dict() for each in Predictor.from_pretrained("run", "cpu")(images, top_k=2)]
    Path("pictures/notes.txt").write_text("not read from a folder")
    assert predict("pictures", "--to", "out.jsonl", "--top-k", "2") == 0
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == expected
    assert predict(*images, "--to", "out.json", "--top-k", "2") == 0
    assert json.loads(Path("out.json").read_text()) == expected
    assert predict("pictures/*.png", "--to", "out.csv", "--top-k", "2") == 0
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == images
    assert [row["class"] for row in rows] == [each["class"] for each in expected]
    assert list(rows[0]) == ["id", "class", "probability", "class_2", "probability_2"]
    capsys.readouterr()
    assert predict(images[0], "--top-k", "1") == 0
    assert capsys.readouterr().out.startswith(f"{images[0]}: {expected[0]['class']} 0.")


def test_drawings_have_names_of_their_own(images: list[str]) -> None:
    Image.open(images[0]).save("pictures/0.bmp")
    assert predict("pictures", "--plots", "drawn") == 0
    names = sorted(path.name for path in Path("drawn").iterdir())
    assert len(names) == 4
    assert names[0] == "pictures-0.png"


def test_what_cannot_be_read(images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(images[1]).write_text("no picture")
    assert predict("pictures") == 2
    assert "pictures/1.png: unreadable image" in capsys.readouterr().err
    assert predict("pictures", "--on-error", "skip", "--to", "out.csv") == 0
    said = capsys.readouterr()
    assert "wrote out.csv: 2 of 3" in said.out
    assert "skipped 1 of 3:" in said.err
    assert "(id pictures/1.png)" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to predict; give files"),
        (["nothing.png"], "nothing.png: no such file or folder"),
        (["*.webp"], r"*.webp: no file of image"),
        (["a.wav"], "a.wav is no file of image (.jpg"),
        (["empty"], "empty: no file of image"),
        (["pictures", "--to", "out.xml"], "out.xml: the ending must be .csv, .jsonl or .json"),
        (["pictures", "--text", "red"], "--text: run reads image and no text"),
        (["pictures", "--threshold", "0.5"], "chosen by no threshold"),
    ],
)
def test_mistakes_are_named(
    images: list[str], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.wav").touch()
    Path("empty").mkdir()
    assert predict(*words) == 2
    assert message in capsys.readouterr().err


def test_lines_of_a_file_are_texts(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("run"), Classification, {"modality": "text"})
    Path("a.txt").write_text("two birds sing\n\nrain on a roof\n")
    assert predict("a.txt", "--text", "a dog", "--to", "out.jsonl") == 0
    ids = [json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()]
    assert ids == ["0", "a.txt:1", "a.txt:3"]


def test_options_alone_are_the_trainers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["predict", "--help"]) == 0
    assert "predict runs/pets photos/" in capsys.readouterr().out
    assert cli(["predict", "--config", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err
