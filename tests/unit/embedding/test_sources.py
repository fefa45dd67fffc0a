"""Items of folders, patterns, files and tables."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from onepeace_pl.embedding import Item, find_items
from onepeace_pl.errors import UserError

ALL = ("text", "image", "audio")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "a/b/2.JPG", "a/b/3.wav", "a/.hidden/4.png", "a/._5.png", "a/notes.md", "a/.git"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    Path("a/b/words.txt").write_text("one\n\n two \n")


def found(*paths: str, **options: str) -> list[tuple[str, str, object]]:
    return [
        (os.path.relpath(item.id), item.modality, item.inputs[item.modality])
        for item in find_items(paths, ALL, **options)
    ]


def test_a_folder():
    pictures = [(name, "image", os.path.abspath(name)) for name in ("a/1.png", "a/b/2.JPG")]
    sound = ("a/b/3.wav", "audio", os.path.abspath("a/b/3.wav"))
    words = [("a/b/words.txt:1", "text", "one"), ("a/b/words.txt:3", "text", "two")]
    assert found("a") == [*pictures, sound, *words]
    assert found("a/**/*.JPG", "a/1.png") == [pictures[1], pictures[0]]
    assert [item.modality for item in find_items(["a"], ["audio"])] == ["audio"]


def test_one_modality_for_all_files():
    names = [item.id for item in find_items(["a"], ["motion"], modality="motion")]
    assert [os.path.relpath(name) for name in names] == [
        "a/1.png",
        "a/notes.md",
        "a/b/2.JPG",
        "a/b/3.wav",
        "a/b/words.txt",
    ]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_table(ending):
    rows = [
        {"image": "a/1.png", "text": "one", "year": "1999"},
        {"image": "a/x.png", "text": "two", "year": "2000"},
    ]
    mark = "\t" if ending == ".tsv" else ","
    lines = [mark.join(rows[0]), *(mark.join(row.values()) for row in rows)]
    said = lines if ending != ".jsonl" else [json.dumps(row) for row in rows]
    path = Path(f"table{ending}")
    path.write_text("\n".join(said) + "\n")
    where, first = str(path.absolute()), str(Path("a/1.png").absolute())
    items = list(find_items([path], ALL))
    assert items[0] == Item(first, {"image": first}, "one", {"year": "1999"}, "0")
    assert items[1] == Item(f"{where}#0", {"text": "one"}, "one", {"year": "1999"}, "0")
    assert (items[0].path, items[2].path, items[3].id) == (first, "", f"{where}#1")
    only = list(find_items([path], ALL, modality="image"))
    assert [(item.modality, item.words) for item in only] == [("image", "one"), ("image", "two")]
    renamed = list(find_items([path], ALL, modality="text", columns={"text": "year"}, id_column="text"))
    assert [(item.id, item.inputs["text"]) for item in renamed] == [
        (f"{where}#one", "1999"),
        (f"{where}#two", "2000"),
    ]


def test_what_is_refused():
    Path("empty").mkdir()
    Path("x.csv").write_text("name\nb\n")
    for paths, options, message in (
        (["none"], {}, "none: no such file or folder"),
        (["a/*.gif"], {}, r"a/\*\.gif: no file matches"),
        (["empty"], {}, "empty: nothing to embed; files that end in .jpg"),
        (["a/notes.md"], {}, "its ending tells no modality"),
        (["a"], {"modality": "smell"}, "no modality 'smell'"),
        (["x.csv"], {}, "no column of one of text, image, audio; it has name"),
    ):
        with pytest.raises(UserError, match=message):
            list(find_items(paths, ALL, **options))
    with pytest.raises(UserError, match=r"3\.wav is audio; the model has text"):
        list(find_items(["a/b/3.wav"], ["text"]))
