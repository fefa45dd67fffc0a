import numpy as np
import pytest
from PIL import Image

from onepeace_pl.data.datasets import MaskFolder
from onepeace_pl.data.masks import MaskTarget


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
    rows = MaskFolder(**folders(tmp_path), classes=["wall", "sky"], numbers=[1, 9], ignored=[0, 2])
    assert MaskTarget(rows.classes)(rows[0].labels).tolist() == [[255, 0, 255, 1]]
    rows = MaskFolder(**folders(tmp_path), classes=["wall", "sky"], numbers=[1, 2], ignored=[0])
    with pytest.raises(ValueError, match=r"a\.png: number 9 has no class"):
        MaskTarget(rows.classes)(rows[0].labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numbers": [1]}, "1 numbers for 2 classes"),
        ({"numbers": [1, 2], "ignored": [2]}, "number 2 stands twice"),
        ({"numbers": [1, 300]}, "number 300 does not fit a byte"),
        ({"masks": "absent"}, "absent: no such folder"),
        ({"ending": "_mask.png"}, "no mask"),
    ],
)
def test_bad_input(tmp_path, options, message):
    write(tmp_path, ("a",), np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match=message):
        MaskFolder(**{**folders(tmp_path), "classes": ["wall", "sky"], **options})


def test_a_mask_without_a_picture(tmp_path):
    write(tmp_path, ("a", "b"), np.zeros((2, 2), np.uint8))
    (tmp_path / "images/b.png").unlink()
    with pytest.raises(ValueError, match=r"masks/b\.png: no picture of that name"):
        MaskFolder(**folders(tmp_path), classes=["wall"])


def test_ade20k(shared):
    folder = shared / "data/ade20k_sample"
    names = [line.split("\t")[4] for line in (folder / "objectInfo150.txt").read_text().splitlines()[1:]]
    rows = MaskFolder(
        str(folder / "images"),
        str(folder / "annotations"),
        names,
        numbers=range(1, 151),
        ignored=[0],
        dataset="ade20k",
    )
    assert len(rows) == 3
    mask = MaskTarget(rows.classes)(rows[0].labels)
    assert mask.max() == 255 or mask.max() < 150
    assert "building, edifice" in {names[n] for n in np.unique(mask) if n != 255}
