from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl.data.datasets import VocObjects
from onepeace_pl.data.labels.objects import ObjectsTarget

DOG = "<object><name>dog</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30</xmax>"
DOG += "<ymax>20</ymax></bndbox></object>"
CAT = "<object><name>cat</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox></object>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    for name, objects in (("a", DOG.format(0, 1) + CAT), ("b", DOG.format(1, 3)), ("c", "")):
        (tmp_path / "Annotations" / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
        Image.new("RGB", (80, 40)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\nb 1\n")
    return tmp_path


def read(folder: Path, **options: object) -> VocObjects:
    return VocObjects(str(folder / "Annotations"), str(folder / "JPEGImages"), **options)  # type: ignore[arg-type]


def test_boxes_count_pixels_from_one(folder: Path) -> None:
    rows = read(folder)
    assert rows.classes == ("cat", "dog")
    assert list(rows.ids()) == ["a", "b", "c"]
    assert rows[0].fields == {"image": str(folder / "JPEGImages/a.jpg")}
    objects = ObjectsTarget(rows.classes)(rows[0].labels)
    assert objects.boxes.tolist() == [[0, 1, 30, 20], [4, 5, 7, 8]]
    assert objects.classes.tolist() == [1, 0]
    assert [each["crowd"] for each in rows[1].labels["objects"]] == [True]  # difficult ones are ignored
    assert rows[2].labels["objects"] == []
    assert len(read(folder, keep_empty=False)) == 2


def test_names_of_a_list_and_given_classes(folder: Path) -> None:
    rows = read(folder, ids=str(folder / "ImageSets/Main/train.txt"), classes=["dog", "cat", "bird"])
    assert list(rows.ids()) == ["a", "b"]
    assert [each["class"] for each in rows[0].labels["objects"]] == [0, 1]


@pytest.mark.parametrize(
    ("file", "said", "options", "message"),
    [
        ("Annotations/a.xml", "<annotation>", {}, "a.xml: broken XML"),
        ("Annotations/a.xml", "<a><object/></a>", {}, "a.xml: object 1 has no name of a class"),
        (
            "Annotations/a.xml",
            f"<a>{DOG.format(0, 'x')}</a>",
            {},
            "a.xml: object 1: bndbox .* is not xmin, ymin",
        ),
        ("Annotations/a.xml", f"<a>{DOG.format(0, 31)}</a>", {}, "a.xml: object 1: bndbox"),
        ("list.txt", "a\nz\n", {"ids": "list.txt"}, "z has no file .*Annotations/z.xml"),
        ("list.txt", "", {"classes": ["cat"]}, "a.xml: class 'dog' is none of the 1"),
    ],
)
def test_mistakes(folder: Path, file: str, said: str, options: dict[str, str], message: str) -> None:
    (folder / file).write_text(said)
    options = {name: str(folder / value) if name == "ids" else value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        read(folder, **options)


def test_missing_folders(folder: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder of XML files"):
        VocObjects(str(folder / "nowhere"), str(folder))
    with pytest.raises(ValueError, match="nowhere: no such folder of images"):
        VocObjects(str(folder / "Annotations"), str(folder / "nowhere"))
