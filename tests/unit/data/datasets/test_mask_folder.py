import numpy as np
import pytest
from PIL import Image

from onepeace_pl.data.datasets import Ade20k, CocoStuff, MaskFolder
from onepeace_pl.data.labels.masks import MaskTarget


def write(folder, names, mask):
    for name in names:
        for kind, pixels in (("images", np.zeros((*mask.shape, 3), np.uint8)), ("masks", mask)):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def folders(tmp_path):
    return {"images": str(tmp_path / "images"), "masks": str(tmp_path / "masks")}


def test_pictures_and_masks_of_the_same_names(tmp_path):
    write(tmp_path, ("b", "a/c"), np.array([[0, 1], [2, 255]], np.uint8))
    rows = MaskFolder(**folders(tmp_path), classes=["sky", "road", "car"])
    assert [rows[i].id for i in range(2)] == ["a/c", "b"]
    assert MaskTarget(rows.classes)(rows[0].labels).tolist() == [[0, 1], [2, 255]]
    assert rows.files(1) == [str(tmp_path / "images/b.png"), str(tmp_path / "masks/b.png")]


def test_numbers_of_their_own(tmp_path):
    write(tmp_path, ("a",), np.array([[0, 1, 2, 9]], np.uint8))
    rows = MaskFolder(
        **folders(tmp_path), classes=["wall", "sky"], class_values=[1, 9], ignored_values=[0, 2]
    )
    assert MaskTarget(rows.classes)(rows[0].labels).tolist() == [[255, 0, 255, 1]]
    rows = MaskFolder(**folders(tmp_path), classes=["wall", "sky"], class_values=[1, 2], ignored_values=[0])
    with pytest.raises(ValueError, match=r"a\.png: number 9 has no class"):
        MaskTarget(rows.classes)(rows[0].labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_values": [1]}, "1 numbers for 2 classes"),
        ({"class_values": [1, 2], "ignored_values": [2]}, "number 2 stands twice"),
        ({"class_values": [1, 300]}, "number 300 does not fit a byte"),
        ({"masks": "absent"}, "absent: no such folder"),
        ({"mask_suffix": "_mask.png"}, "no mask"),
    ],
)
def test_bad_input(tmp_path, options, message):
    write(tmp_path, ("a",), np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match=message):
        MaskFolder(**{**folders(tmp_path), "classes": ["wall", "sky"], **options})


def test_a_mask_without_a_picture(tmp_path):
    write(tmp_path, ("a", "b"), np.zeros((2, 2), np.uint8))
    (tmp_path / "images/b.png").unlink()
    with pytest.raises(ValueError, match=r"masks/b\.png: no image of that name"):
        MaskFolder(**folders(tmp_path), classes=["wall"])


def benchmark(tmp_path, masks, split, mask):
    for kind, pixels in (("images", np.zeros((*mask.shape, 3), np.uint8)), (masks, mask)):
        path = tmp_path / kind / split / ("a.jpg" if kind == "images" else "a.png")
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)


def test_ade20k(tmp_path):
    benchmark(tmp_path, "annotations", "validation", np.array([[0, 1, 3]], np.uint8))
    lines = ["Idx\tRatio\tTrain\tVal\tName", *(f"{i}\t0.1\t1\t1\tthing {i}" for i in (1, 2, 3))]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(lines) + "\n")
    rows = Ade20k(str(tmp_path), "validation")
    assert rows.classes == ("thing 1", "thing 2", "thing 3")
    assert MaskTarget(rows.classes)(rows[0].labels).tolist() == [[255, 0, 2]]
    (tmp_path / "objectInfo150.txt").write_text("Idx\n1 wall\n")
    with pytest.raises(ValueError, match="fewer than five columns"):
        Ade20k(str(tmp_path), "validation")


def test_real_ade20k(shared):
    folder = shared / "data/ade20k_sample"
    names = [line.split("\t")[4] for line in (folder / "objectInfo150.txt").read_text().splitlines()[1:]]
    images, masks = str(folder / "images"), str(folder / "annotations")
    rows = MaskFolder(images, masks, names, class_values=range(1, 151), ignored_values=[0])
    assert len(rows) == 3
    mask = MaskTarget(rows.classes)(rows[0].labels)
    assert "building, edifice" in {names[n] for n in np.unique(mask) if n != 255}


def test_coco_stuff(tmp_path):
    benchmark(tmp_path, "masks", "val2017", np.array([[0, 12, 181, 255]], np.uint8))
    labels = ["0: unlabeled", "1: person", "12: street sign", "13: stop sign", "182: wood"]
    (tmp_path / "labels.txt").write_text("\n".join(labels) + "\n")
    rows = CocoStuff(str(tmp_path), "val2017")
    assert rows.classes == ("person", "stop sign", "wood")
    assert MaskTarget(rows.classes)(rows[0].labels).tolist() == [[0, 1, 2, 255]]
    (tmp_path / "labels.txt").write_text("person\n")
    with pytest.raises(ValueError, match="'person' is no number and name"):
        CocoStuff(str(tmp_path), "val2017")
