from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.datasets import CocoCaptions, CocoKarpathy, Flickr30kTokens
from onepeace_pl.modalities import ImageProcessor
from tests.unit.data.datasets.making import json_file, pictures, text_file


def entry(number: int, split: str, **more: Any) -> dict[str, Any]:
    sentences = [{"raw": f"caption {number} {i}", "tokens": []} for i in range(2)]
    return {"filename": f"{number}.jpg", "split": split, "sentences": sentences, "imgid": number, **more}


def test_coco_by_karpathy(tmp_path: Path) -> None:
    images = [
        entry(0, "train", filepath="train2014", cocoid=100),
        entry(1, "restval", filepath="val2014", cocoid=101),
        entry(2, "test", filepath="val2014", cocoid=102),
    ]
    path = json_file(tmp_path / "dataset_coco.json", {"images": images, "dataset": "coco"})
    source = CocoKarpathy(path, "/coco")
    assert len(source) == 4
    row = source[2]
    assert row.id == "101"
    assert row.fields == {"image": "/coco/val2014/1.jpg", "text": "caption 1 0"}
    assert source[3].id == row.id
    assert source.one_per_id() == ("image",)
    assert next(source.texts()) == "caption 0 0"
    assert source.published.rows == (566_747,)
    assert len(CocoKarpathy(path, "/coco", restval=False)) == 2
    assert CocoKarpathy(path, "/coco", "test").published.ids == (5000,)
    with pytest.raises(ValueError, match=r"no images of split 'val'; it has restval, test, train"):
        CocoKarpathy(path, "/coco", "val")


def test_flickr30k_by_karpathy_and_missing_pictures(tmp_path: Path) -> None:
    content = {"images": [entry(7, "test"), entry(8, "test")], "dataset": "flickr30k"}
    path = json_file(tmp_path / "dataset_flickr30k.json", content)
    folder = pictures(tmp_path / "images", ["8.jpg"])
    assert CocoKarpathy(path, folder, "test")[0].id == "7"
    with pytest.warns(UserWarning, match="2 of 4 rows lack a file and are left out"):
        source = CocoKarpathy(path, folder, "test", missing="skip")
    assert [source[i].id for i in range(len(source))] == ["8", "8"]
    assert source.published.rows == (5000,)
    with pytest.raises(ValueError, match="none of its 4 rows has its files"):
        CocoKarpathy(path, str(tmp_path / "elsewhere"), "test", missing="skip")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"a\.json: no 'images'"),
        ({"images": []}, r"a\.json: no rows"),
        ({"images": 3}, r"a int, not a list under 'images'"),
        ({"images": [{"split": "train", "imgid": 1, "sentences": []}]}, r"entry 0: no 'filename'"),
        ({"images": [{**entry(0, "train"), "sentences": []}]}, r"entry 0: no sentences"),
        ({"images": [{**entry(0, "train"), "sentences": [{}]}]}, r"entry 0: no 'raw'; it has nothing"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CocoKarpathy(json_file(tmp_path / "a.json", content), "/x")


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.json:2: not JSON"):
        CocoKarpathy(text_file(tmp_path / "a.json", "{", "oops"), "/x")
    with pytest.raises(ValueError, match=r"b\.json: No such file"):
        CocoKarpathy(str(tmp_path / "b.json"), "/x")


def test_cocos_own_captions(shared: Path, tmp_path: Path) -> None:
    data = shared / "data/coco128"
    source = CocoCaptions(str(data / "captions_val2017_first64.json"), str(data))
    assert len(source) == 113
    assert source[0].fields["text"] == "a room with chairs, a table, and a woman in it."
    assert ImageProcessor(size=32)(source[0].fields["image"]).length == 4
    lost = {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 2, "caption": "b"}]}
    with pytest.raises(ValueError, match=r"entry 0: image 2 is not among the images"):
        CocoCaptions(json_file(tmp_path / "a.json", lost), "/x")


def test_flickr30ks_own_captions(tmp_path: Path) -> None:
    path = text_file(tmp_path / "results.token", "1.jpg#0\tone", "1.jpg#1\tstill one", "2.jpg#0\ttwo")
    source = Flickr30kTokens(path, "/flickr")
    assert [source[i].id for i in range(3)] == ["1", "1", "2"]
    assert source[1].fields == {"image": "/flickr/1.jpg", "text": "still one"}
    part = Flickr30kTokens(path, "/flickr", names=text_file(tmp_path / "test.txt", "2"))
    assert [part[i].fields["text"] for i in range(len(part))] == ["two"]
    with pytest.raises(ValueError, match=r"results\.token:1: 'nonsense' is not"):
        Flickr30kTokens(text_file(tmp_path / "results.token", "nonsense"), "/flickr")
