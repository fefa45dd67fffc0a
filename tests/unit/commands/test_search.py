"""index and search through the command line."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from onepeace_pl import OnePeace
from onepeace_pl.cli import main as cli
from tests.unit.hub.conftest import make_model
from tests.unit.search.conftest import write_files


@pytest.fixture
def model(tmp_path: Path) -> OnePeace:
    pytest.importorskip("lancedb", reason="needs the extra `search`")
    write_files(Path("files"))
    made = make_model()
    made.save_pretrained("m")
    return made


def index(*words: str) -> int:
    return cli(["index", "m", *words, "--to", "idx", "--device", "cpu"])


def test_index_and_search(model, capsys):
    assert index("files") == 0
    printed = capsys.readouterr().out
    assert ": 16 added, 0 updated, 0 unchanged, 0 skipped" in printed
    assert "idx: 16 rows (6 audio, 6 image, 4 text) of 32 values" in printed
    assert index("files/*.png") == 0
    assert ": 0 added, 0 updated, 6 unchanged" in capsys.readouterr().out
    assert cli(["search", "idx", "--image", "files/2.png", "-k", "2", "--device", "cpu"]) == 0
    first, _ = capsys.readouterr().out.splitlines()
    assert first.split() == ["1.000", "image", "files/2.png"]
    assert cli(["search", "idx", "--words", "snow"]) == 0  # needs no model
    assert capsys.readouterr().out.endswith("text  a dog barks in the snow\n")
    assert cli(["search", "idx", "--words", "zebra"]) == 0
    assert capsys.readouterr().out == "no results\n"


def test_files_of_results(model, capsys):
    index("files")
    query = ["--text", "a dog", "--image", "files/1.png", "--where", "modality = 'audio'", "-k", "3"]
    vector = model.encode(text=["a dog"], image=["files/1.png"])
    expected = model.similarity(vector, model.encode(audio=[f"files/{i}.wav" for i in range(6)]))[0]
    for ending in ("json", "csv", "html"):
        assert cli(["search", "idx", *query, "--to", f"out/r.{ending}", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.endswith("wrote out/r.html: 3 results\n")
    said = json.loads(Path("out/r.json").read_text())
    scores = [each["score"] for each in said["results"]]
    assert scores == pytest.approx(expected.sort(descending=True).values[:3].tolist(), abs=1e-5)
    with open("out/r.csv", newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == scores
    page = Path("out/r.html").read_text()
    assert (page.count("<audio"), page.count("<img")) == (3, 1)


def test_a_table_with_further_columns(model, capsys):
    Path("table.csv").write_text(
        "image,caption,year\nfiles/0.png,a red kite,1999\nfiles/1.png,a blue kite,2010\n"
    )
    assert index("table.csv", "--columns", "text=caption", "--modality", "image") == 0
    capsys.readouterr()
    words = ["search", "idx", "--words", "kite", "--where", "CAST(year AS INT) > 2000"]
    assert cli(words) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("image  files/1.png")


def test_skipped_files_are_listed(model, capsys):
    for i in range(6):
        Path(f"files/{i}.png").write_bytes(b"")
    assert index("files") == 2
    assert "0.png: unreadable image" in capsys.readouterr().err
    assert index("files", "--on-error", "skip") == 0
    printed = capsys.readouterr().out
    assert printed.count("\nskipped ") == 5
    assert "\nand 1 more\n" in printed


def test_refusals(model, capsys):
    index("files/texts.txt")
    other = make_model(layer_scale=0.5)
    other.save_pretrained("other")
    capsys.readouterr()
    Path("empty").mkdir()
    for words, message in (
        (["index", "other", "files", "--to", "idx", "--device", "cpu"], "idx holds vectors of another model"),
        (["index", "m", "empty", "--to", "new", "--device", "cpu"], "empty: nothing to embed"),
        (["index", "m", "files", "--to", "idx", "--truncate-dim", "8"], "idx is an index already"),
        (["index", "m", "files", "--to", "idx", "--columns", "x"], "write FIELD=COLUMN"),
        (["search", "idx"], "empty query"),
        (["search", "idx", "--text", "a", "--to", "r.txt"], "the ending must be .json, .csv, .html"),
        (["search", "none", "--text", "a"], "none: no such index"),
        (["search", "idx", "--input", "x"], "write MODALITY=FILE"),
        (["search", "idx", "--input", "smell=x", "--device", "cpu"], "no modality 'smell'"),
        (["search", "idx", "--text", "a", "--model", "other", "--device", "cpu"], "another model"),
        (["search", "idx", "--words", "a", "--where", "x ="], "filter 'x ='"),
    ):
        assert cli(words) == 2, words
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    shutil.move("m", "moved")
    assert cli(["search", "idx", "--text", "a"]) == 2
    assert "name its folder: --model FOLDER" in capsys.readouterr().err
    assert cli(["search", "idx", "--text", "a", "--model", "moved", "--device", "cpu"]) == 0


def test_without_the_extra(tmp_path, capsys, monkeypatch):
    make_model().save_pretrained("m")
    write_files(Path("files"))
    monkeypatch.setitem(sys.modules, "lancedb", None)
    assert index("files") == 2
    assert capsys.readouterr().err == "error: an index needs lancedb: pip install 'onepeace-pl[search]'\n"
