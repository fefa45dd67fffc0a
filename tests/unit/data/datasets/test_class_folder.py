import pickle
from pathlib import Path

import pytest

from onepeace_pl.data.datasets import ClassFolder
from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.source import Source
from tests.unit.data.datasets.making import json_file, pictures, sounds, text_file


def test_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, ["b/2.png", "a/1.JPEG", "b/deep/3.jpg"])
    text_file(tmp_path / "a/notes.txt", "not a picture")
    source = ClassFolder(str(tmp_path))
    assert isinstance(source, Source)
    assert source.modalities == ("image",)
    assert source.classes == ("a", "b")
    rows = [source[i] for i in range(len(source))]
    assert [row.id for row in rows] == ["a/1", "b/2", "b/deep/3"]
    assert rows[2].fields == {"image": str(tmp_path / "b/deep/3.jpg")}
    assert [row["class"] for row in source.labels()] == ["a", "b", "b"]
    assert list(source.ids()) == [row.id for row in rows]
    assert source.files(1) == [str(tmp_path / "b/2.png")]
    assert pickle.loads(pickle.dumps(source))[0] == rows[0]
    with pytest.raises(IndexError):
        source[3]


def test_sounds_in_an_order_of_classes(tmp_path: Path) -> None:
    sounds(tmp_path / "data", ["rain/1.wav", "dog/1.flac"])
    names = text_file(tmp_path / "names.txt", "rain", "wind", "dog")
    source = ClassFolder(str(tmp_path / "data"), names)
    assert source.modalities == ("audio",)
    assert source.classes == ("rain", "wind", "dog")
    assert [source[i].labels["class"] for i in range(2)] == ["rain", "dog"]
    assert ClassFolder(str(tmp_path / "data"), ["rain", "dog"])[0].labels == {"class": "rain"}


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone: no such folder"):
        ClassFolder(str(tmp_path / "gone"))
    with pytest.raises(ValueError, match=r"no image or audio file in 1 folders; the endings are .jpg"):
        ClassFolder(str(tmp_path), ["a"])
    (tmp_path / ".cache").mkdir()  # no class
    pictures(tmp_path, ["a/1.png", "b/1.png"])
    with pytest.raises(ValueError, match=r"folder 'b' is none of the 1 classes"):
        ClassFolder(str(tmp_path), ["a"])
    sounds(tmp_path, ["a/1.wav"])
    with pytest.raises(ValueError, match="audio and image are mixed"):
        ClassFolder(str(tmp_path))


def test_real_pictures(shared: Path) -> None:
    source = ClassFolder(str(shared / "data/cifar10/train"))
    assert len(source) == 2000
    assert len(source.classes) == 10


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", ["x", "y"], ("x", "y")),
        ("a.json", {"1": "y", "0": "x"}, ("x", "y")),
        ("a.json", {"y": 1, "x": 0}, ("x", "y")),
        ("a.json", {"0": ["x"], "1": ["y"]}, ("x", "y")),
    ],
)
def test_classes_of_json(tmp_path: Path, name: str, content: object, expected: tuple[str, ...]) -> None:
    assert read_classes(json_file(tmp_path / name, content)) == expected


def test_classes_of_csv_and_bad_ones(tmp_path: Path) -> None:
    file = text_file(tmp_path / "a.csv", '0,"bird, small",/m/1', "1,dog,/m/2")
    assert read_classes(file, column=1) == ("bird, small", "dog")
    with pytest.raises(ValueError, match=r"a\.csv:1: no column 4"):
        read_classes(file, column=3)
    with pytest.raises(ValueError, match="class 'x' occurs twice"):
        read_classes(["x", "y", "x"])
    with pytest.raises(ValueError, match=r"b\.json: numbers of classes are not 0 to 1"):
        read_classes(json_file(tmp_path / "b.json", {"1": "x", "2": "y"}))
    with pytest.raises(ValueError, match="neither a list of names"):
        read_classes(json_file(tmp_path / "b.json", 3))
    with pytest.raises(ValueError, match=r"gone\.txt: No such file"):
        read_classes(str(tmp_path / "gone.txt"))
