import json

import pytest

from onepeace_pl.data.datasets import CocoObjects
from onepeace_pl.data.labels.objects import ObjectsTarget


def content(**changes):
    note = {"id": 7, "image_id": 5, "category_id": 30, "bbox": [2, 1, 4, 4], "area": 16, "iscrowd": 0}
    return {
        "images": [
            {"id": 5, "file_name": "a.jpg", "width": 10, "height": 8},
            {"id": 6, "file_name": "b.jpg", "width": 10, "height": 8},
        ],
        "annotations": [note | {"segmentation": [[2, 1, 6, 1, 6, 5]]} | changes],
        "categories": [{"id": 30, "name": "dog"}, {"id": 4, "name": "cat"}],
    }


def doubled(key):
    what = content()
    return what | {key: [*what[key], what[key][0]]}


def sized(width, height):
    what = content()
    what["images"][0] |= {"width": width, "height": height}
    return what


def read(tmp_path, what, **options):
    (tmp_path / "objects.json").write_text(json.dumps(what))
    return CocoObjects(str(tmp_path / "objects.json"), "pictures", **options)


def test_classes_go_by_category_number(tmp_path):
    rows = read(tmp_path, content())
    assert rows.classes == ("cat", "dog")
    assert [rows[i].id for i in range(len(rows))] == ["5", "6"]
    assert rows[0].fields == {"image": "pictures/a.jpg"}
    objects = ObjectsTarget(rows.classes, masks=True)(rows[0].labels)
    assert objects.boxes.tolist() == [[2, 1, 6, 5]]
    assert objects.classes.tolist() == [1]
    assert objects.masks.any()
    assert rows[1].labels["objects"] == []
    assert len(read(tmp_path, content(), keep_empty=False)) == 1


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ([1], {}, "no list 'images'"),
        ({"images": []}, {}, "no list 'annotations'"),
        (content(image_id=9), {}, "annotation 7 is of image 9, which `images` does not list"),
        (content(category_id=9), {}, "annotation 7 is of category 9, which `categories` does not list"),
        (content(bbox=[1, 1, 0, 3]), {}, r"image 5 \(a\.jpg\) has a box without area"),
        (content(), {"degenerate": "maybe"}, "choose raise or drop"),
        (
            content(bbox=[1, 1, float("nan"), 3]),
            {},
            r"annotation 7: bbox \[1, 1, nan, 3\] is not four finite numbers",
        ),
        (content(bbox=[1e308, 1, 1e308, 3]), {}, "annotation 7: bbox"),
        (content(iscrowd="0"), {}, "annotation 7: iscrowd '0' is neither 0 nor 1"),
        (content(area=float("inf")), {}, "annotation 7: area inf is no number of pixels"),
        (content(segmentation=[[1, 1, 5, 1, 1e30, 5]]), {}, "annotation 7: a polygon with a corner at 1e"),
        (content(id=[7]), {}, r"objects.json: entry 0: id \[7\] is no whole number"),
        (doubled("images"), {}, "objects.json: entry 2: id 5 is there already"),
        (doubled("annotations"), {}, "objects.json: entry 1: id 7 is there already"),
        (doubled("categories"), {}, "objects.json: entry 2: category 'dog' is there twice"),
        (sized(10**6, 10**6), {}, "objects.json: entry 0: 1000000 x 1000000 pixels; sides are 1 to 65535"),
        (sized(0, 5), {}, "0 x 5 pixels"),
        (sized("10", 5), {}, "width '10' is no whole number; write one without quotes"),
    ],
)
def test_bad_files(tmp_path, what, options, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, what, **options)


def test_boxes_without_area_can_be_dropped(tmp_path):
    rows = read(tmp_path, content(bbox=[1, 1, 0, 3]), degenerate="drop")
    assert rows[0].labels["objects"] == []


def test_real_files(shared):
    rows = CocoObjects(str(shared / "data/bccd/val.json"), str(shared / "data/bccd"))
    assert (len(rows), rows.classes) == (87, ("RBC", "WBC", "Platelets"))
    coco = shared / "data/coco128"
    for path in sorted(coco.glob("instseg_*.json")):
        rows = CocoObjects(str(path), str(coco))
        assert len(rows.classes) == 80
        target = ObjectsTarget(rows.classes, masks=True)(rows[0].labels)
        assert len(target) == len(rows[0].labels["objects"])
