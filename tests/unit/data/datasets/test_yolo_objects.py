from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl.data.datasets import YoloObjects
from onepeace_pl.data.labels.objects import ObjectsTarget


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two training images, one of them without objects, and one for validation."""
    for name in ("train/a.png", "train/b.jpg", "val/c.png"):
        image = tmp_path / "images" / name
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 40)).save(image)
    labels = tmp_path / "labels" / "train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.2 0.2\n\n1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n")
    return tmp_path


def read(folder: Path, part: str = "train", **options: bool) -> YoloObjects:
    return YoloObjects(str(folder / "data.yaml"), part, **options)


def test_boxes_are_in_pixels(folder: Path) -> None:
    rows = read(folder)
    assert rows.classes == ("cat", "dog")
    assert list(rows.ids()) == ["images/train/a", "images/train/b"]
    assert rows[0].fields == {"image": str(folder / "images/train/a.png")}
    objects = ObjectsTarget(rows.classes)(rows[0].labels)
    assert objects.boxes.tolist() == [[30, 10, 50, 30], [0, 0, 16, 8]]  # the double one once
    assert objects.classes.tolist() == [1, 0]
    assert rows[1].labels["objects"] == []
    assert len(read(folder, keep_empty=False)) == 1
    assert list(read(folder, "val").ids()) == ["images/val/c"]


def test_polygons_are_masks(folder: Path) -> None:
    (folder / "labels/train/a.txt").write_text("1 0.25 0.25 0.75 0.25 0.75 0.75\n")
    rows = read(folder, keep_empty=False)
    objects = ObjectsTarget(rows.classes, masks=True)(rows[0].labels)
    assert objects.boxes.tolist() == [[20, 10, 60, 30]]
    assert 300 < objects.masks.sum() < 500


@pytest.mark.parametrize(
    "said",
    [
        "path: {0}\ntrain: images/train\nnames: [cat, dog]",
        "path: moved/since\ntrain: ../images/train\nnames: [cat, dog]",
        "train: [images/train]\nnames: [cat, dog]",
        "train: list.txt\nnames: [cat, dog]",
    ],
)
def test_places_of_images(folder: Path, said: str) -> None:
    (folder / "list.txt").write_text("./images/train/a.png\nimages/train/b.jpg\n")
    (folder / "data.yaml").write_text(said.format(folder))
    assert list(read(folder).ids()) == ["images/train/a", "images/train/b"]


@pytest.mark.parametrize(
    ("file", "said", "message"),
    [
        ("data.yaml", "train: images/train", "no `names` of classes; this is not YOLO's format"),
        ("data.yaml", "names: [a, a]\ntrain: images/train", "class 'a' occurs twice"),
        ("data.yaml", "names: {1: a}\ntrain: images/train", "are not 0 to 0"),
        ("data.yaml", "names: [a]\nval: images/val", "no part 'train'; it has val"),
        (
            "data.yaml",
            "names: [a]\ntrain: nowhere",
            "nowhere: no such file or folder; mend `path` or `train`",
        ),
        ("data.yaml", "names: [", "no YAML"),
        ("labels/train/a.txt", "2 0.5 0.5 0.1 0.1", "a.txt:1: class '2' is none of 0 to 1"),
        ("labels/train/a.txt", "0.5 0.5 0.1 0.1", "a.txt:1: class '0.5' is none"),
        ("labels/train/a.txt", "\n1 0.5 0.5 0.1", "a.txt:2: after the class there must be"),
        ("labels/train/a.txt", "1 0.5 x 0.1 0.1", "a.txt:1: after the class there must be"),
        ("labels/train/a.txt", "1 40 20 30 10", "a.txt:1: 40 is no share of the image's side, 0 to 1"),
        ("labels/train/a.txt", "1 0.5 nan 0.1 0.1", "a.txt:1: nan is no share"),
        ("labels/train/a.txt", "1 0.5 0.5 0 0.1", "a.txt:1: an object without area"),
        ("labels/train/a.txt", "1 0.5 0.5 0.5 0.6 0.5 0.7", "a.txt:1: an object without area"),
    ],
)
def test_mistakes(folder: Path, file: str, said: str, message: str) -> None:
    (folder / file).write_text(said)
    with pytest.raises(ValueError, match=message):
        read(folder)
