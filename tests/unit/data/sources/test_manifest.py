import base64
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onepeace_pl.data.source import Source
from onepeace_pl.data.sources import ManifestSource


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_csv(tmp_path: Path) -> None:
    source = ManifestSource(write(tmp_path, "a.csv", 'image,text,place\na.png,"one, two",here\n'))
    assert isinstance(source, Source)
    row = source[0]
    assert source.modalities == ("image", "text")
    assert row.fields == {"image": str(tmp_path / "a.png"), "text": "one, two"}
    assert dict(row.labels) == {"place": "here"}
    assert list(source.texts()) == ["one, two"]


def test_json_lines_with_named_columns(tmp_path: Path) -> None:
    lines = [{"heat": f"{i}.npy", "says": f"text {i}", "key": i, "box": [1, 2]} for i in range(3)]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    source = ManifestSource(path, {"thermal": "heat", "text": "says"}, id_column="key", root="/data")
    assert len(source) == 3
    assert source[2].id == "2"
    assert source[2].fields == {"thermal": "/data/2.npy", "text": "text 2"}
    assert dict(source[2].labels) == {"box": [1, 2]}


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.csv", "image,text\na.png\n", {}, r"a\.csv:2: 1 columns instead of 2"),
        ("a.csv", "picture,words\na,b\n", {}, r"no column named image, audio or text"),
        (
            "a.csv",
            "image,text\na,b\n",
            {"columns": {"text": "texts"}},
            r"no column 'texts'; did you mean 'text'\?",
        ),
        ("a.csv", "image,text\n", {}, r"a\.csv: no rows"),
        (
            "a.csv",
            "id,text\n1,a\n1,b\n",
            {"id_column": "id", "unique_ids": True},
            r"a\.csv:3: id '1' is already",
        ),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', {}, r"a\.jsonl:2: not JSON"),
        ("a.jsonl", '{"text": "a"}\n{"txt": "b"}\n', {}, r"a\.jsonl:2: no 'text', which line 1 has"),
        ("a.jsonl", "[1]\n", {}, r"a\.jsonl:1: a list, not an object"),
        ("a.xlsx", "", {}, r"ends in \.csv or \.jsonl"),
    ],
)
def test_bad_manifests_are_refused(tmp_path: Path, name: str, text: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ManifestSource(write(tmp_path, name, text), **options)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.csv: No such file"):
        ManifestSource(str(tmp_path / "gone.csv"))


def test_a_picture_in_a_cell_may_be_long(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    cell = base64.b64encode(buffer.getvalue()).decode()
    assert len(cell) > 131_072  # the csv module's own limit
    source = ManifestSource(write(tmp_path, "a.csv", f"image,text\n{cell},noise\n"))
    assert source[0].fields["image"] == buffer.getvalue()
    with pytest.raises(ValueError, match=r"b\.csv:2: not valid CSV"):
        ManifestSource(write(tmp_path, "b.csv", 'image,text\na.png,"one" two\n'))


def test_classes_by_name_and_by_number(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'image,kind,also\na.png,dog,dog\nb.png,cat,\nc.png,dog,"cat, dog"\n')
    source = ManifestSource(path, labels={"class": "kind", "classes": "also"})
    assert source.classes == ("cat", "dog")
    assert source[0].labels == {"class": "dog", "classes": ("dog",)}
    assert [row["classes"] for row in source.labels()] == [("dog",), (), ("cat", "dog")]
    numbered = ManifestSource(write(tmp_path, "b.csv", "image,n\na.png,2\nb.png,0\n"), labels={"class": "n"})
    assert numbered.classes == ("0", "1", "2")
    assert [row["class"] for row in numbered.labels()] == [2, 0]
    named = ManifestSource(str(tmp_path / "b.csv"), labels={"class": "n"}, classes=["x", "y", "z"])
    assert named[0].labels == {"class": 2}
    assert named.classes == ("x", "y", "z")


def test_boxes(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    four = write(tmp_path, "a.csv", "image,text,l,t,r,b\na.png,the dog,1,2,30.5,20\n")
    source = ManifestSource(four, labels={"box": ["l", "t", "r", "b"]})
    assert next(source.labels()) == {"box": (1, 2, 30.5, 20)}
    assert source[0].labels == {"box": (1, 2, 30.5, 20), "image_size": (40, 30)}
    rows = [
        {"image": "a.png", "text": "it", "where": where, "w": 90, "h": 80}
        for where in ([1, 2, 3, 4], "[1,2,3,4]", "1,2,3,4")
    ]
    one = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    source = ManifestSource(one, labels={"box": "where", "image_size": ["w", "h"]})
    assert list(source.labels()) == [{"box": (1, 2, 3, 4), "image_size": (90, 80)}] * 3


def test_questions_with_choices(tmp_path: Path) -> None:
    text = "audio,ask,a,b,right\na.wav,what?,a dog,rain,rain\nb.wav,who?,a dog,a cat,0\n"
    path = write(tmp_path, "a.csv", text)
    options = {"columns": {"audio": "audio", "text": "ask"}, "labels": {"answer": "right"}}
    source = ManifestSource(path, choices=["a", "b"], **options)
    assert source[0].fields["text"] == ("what? answer: a dog", "what? answer: rain")
    assert [row["answer"] for row in source.labels()] == [1, 0]
    assert list(source.texts()) == ["what?", "a dog", "rain", "who?", "a dog", "a cat"]
    rows = [{"audio": "a.wav", "ask": "what?", "all": ["x", "y", "z"], "right": 2}]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    source = ManifestSource(path, choices="all", template="{choice}: {question}", **options)
    assert source[0].fields["text"] == ("x: what?", "y: what?", "z: what?")
    assert source[0].labels == {"answer": 2}


def test_answers_and_topics(tmp_path: Path) -> None:
    rows = [
        {"image": "a.png", "text": "?", "a": "yes", "type": 1},
        {"image": "a.png", "text": "?", "a": ["no", "none"], "type": 2},
        {"image": "a.png", "text": "?", "a": '{"two": 0.6}', "type": 1},
        {"image": "a.png", "text": "?", "a": {"no": 0.3}, "type": 1},
    ]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    source = ManifestSource(path, labels={"answers": "a", "group": "type"})
    assert [row["answers"] for row in source.labels()] == [
        {"yes": 1.0}, {"no": 1.0, "none": 1.0}, {"two": 0.6}, {"no": 0.3},
    ]  # fmt: skip
    assert source[0].labels["group"] == "1"
    assert source.classes == ("no", "none", "two", "yes")


def test_statements_about_two_pictures(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "left,right,text,holds\na.png,b.png,two dogs,Yes\nb.png,a.png,a cat,0\n")
    columns = {"image": ["left", "right"], "text": "text"}
    source = ManifestSource(path, columns, labels={"truth": "holds"}, root="/p")
    assert source[0].fields["image"] == ("/p/a.png", "/p/b.png")
    assert source.files(1) == ["/p/b.png", "/p/a.png"]
    assert [row["truth"] for row in source.labels()] == [True, False]
    assert list(source.ids()) == ["0", "1"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "image,k\na.png,dgo\n",
            {"labels": {"class": "k"}, "classes": ["dog"]},
            r"a\.csv:2: class 'dgo' is none of the 1; did you",
        ),
        (
            "image,k\na.png,5\n",
            {"labels": {"class": "k"}, "classes": ["x", "y"]},
            r"a\.csv:2: class 5 is no number from 0 to 1",
        ),
        ("image,k\na.png,x\n", {"labels": {"class": "kind"}}, r"no column 'kind'"),
        (
            "image,k\na.png,x\n",
            {"labels": {"truth": "k"}},
            r"a\.csv:2: column k: 'x' is neither true nor false",
        ),
        ("image,k\na.png,wide\n", {"labels": {"box": "k"}}, r"a\.csv:2: column k: 'wide' are not numbers"),
        ('image,k\na.png,"9,1,3,4"\n', {"labels": {"box": "k"}}, r"a\.csv:2: box \(9, 1, 3, 4\) is reversed"),
        ('image,k\na.png,"1,2,3"\n', {"labels": {"box": "k"}}, r"a\.csv:2: box .* is not four"),
        (
            "text,a,b,k\n?,x,y,z\n",
            {"labels": {"answer": "k"}, "choices": ["a", "b"]},
            r"a\.csv:2: column k: answer 'z' is not among the choices \['x', 'y'\]",
        ),
        (
            "text,a,b,k\n?,x,y,2\n",
            {"labels": {"answer": "k"}, "choices": ["a", "b"]},
            r"answer '2' is not among the choices",
        ),
        ('text,k\n?,"{oops"\n', {"labels": {"answers": "k"}}, r"a\.csv:2: column k: '\{oops' is not JSON"),
        (
            'text,k\n?,"{""yes"": 3}"\n',
            {"labels": {"answers": "k"}},
            r"a\.csv:2: confidence 3 of answer 'yes'",
        ),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, text: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ManifestSource(write(tmp_path, "a.csv", text), **options)


def test_a_number_of_a_class_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "image,k\na.png,0\nb.png,99999999999\n")
    with pytest.raises(
        ValueError, match=r"a\.csv:3: class 99999999999: numbers of classes go from 0 to 999999;"
    ):
        ManifestSource(path, labels={"class": "k"})
    path = write(tmp_path, "a.csv", f"image,k\na.png,0\nb.png,{'9' * 5000}\n")
    assert len(ManifestSource(path, labels={"class": "k"}).classes) == 2  # no number is that long: a name


def test_a_field_of_millions_of_characters(tmp_path: Path) -> None:
    long = "dog " * 2_000_000
    path = write(tmp_path, "a.csv", f"image,text,k\na.png,{long},{long}\n")
    with pytest.raises(ValueError, match=r"class .*is none of the 1") as caught:
        ManifestSource(path, labels={"class": "k"}, classes=["dog"])
    assert len(str(caught.value)) < 1000
    assert ManifestSource(path, labels={"class": "k"})[0].fields["text"] == long
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match="not a regular file; check the path"):
        ManifestSource(str(tmp_path / "pipe.csv"))


def test_halves_of_surrogate_pairs_in_json(tmp_path: Path) -> None:
    rows = '{"text": "a dog \\ud83d", "other": ["\\ud83d\\ude00"]}\n'
    row = ManifestSource(write(tmp_path, "a.jsonl", rows))[0]
    assert row.fields["text"] == "a dog \ufffd"
    assert row.labels == {"other": ["\U0001f600"]}


def test_choices_without_a_question(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "image,a,b\na.png,x,y\n")
    with pytest.raises(
        ValueError, match=r"a\.csv: choices, and no column of the question; name it in `columns`"
    ):
        ManifestSource(path, choices=["a", "b"])
