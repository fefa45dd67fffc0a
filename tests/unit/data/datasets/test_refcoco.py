import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.datasets import RefCoco
from onepeace_pl.data.datasets.plain_pickle import read_plain_pickle
from onepeace_pl.data.labels.checking import bad_labels
from onepeace_pl.data.labels.targets import BoxTarget
from tests.unit.data.datasets.making import json_file, pictures


def ref(ann_id: int = 1, split: str = "train", **more: Any) -> dict[str, Any]:
    sentences = [
        {"tokens": ["a"], "raw": "A!", "sent_id": 10 * ann_id + i, "sent": f"text {i}"} for i in range(2)
    ]
    return {
        "sent_ids": [],
        "file_name": "COCO_train2014_000000000009_3.jpg",
        "ann_id": ann_id,
        "ref_id": 1,
        "image_id": 9,
        "split": split,
        "sentences": sentences,
        "category_id": 1,
        **more,
    }


def instances(folder: Path, box: Any = (5.5, 4, 20, 10)) -> str:
    content = {
        "images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "bbox": box, "segmentation": []}, {"id": 2, "bbox": [0, 0, 40, 30]}],
        "categories": [],
    }
    return json_file(folder / "instances.json", content)


def refs(folder: Path, *entries: dict[str, Any]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "refs(unc).p").write_bytes(pickle.dumps(list(entries), protocol=2))
    return str(folder / "refs(unc).p")


def test_a_pickle_and_its_instances(tmp_path: Path) -> None:
    folder = tmp_path / "refcoco+"
    path = refs(folder, ref(), ref(2, "testA"))
    source = RefCoco(path, "/coco", instances(folder), split="train")
    assert len(source) == 2
    row = source[1]
    assert row.id == "11"
    assert row.fields == {"image": "/coco/COCO_train2014_000000000009.jpg", "text": "text 1"}
    assert row.labels == {"box": (5.5, 4, 25.5, 14), "image_size": (40, 30)}
    assert list(source.labels())[1] == row.labels
    assert list(source.ids()) == ["10", "11"]
    assert list(source.texts()) == ["text 0", "text 1"]
    assert source.published.rows == (120_191,)
    assert BoxTarget()(row.labels).shape == (4,)
    assert len(RefCoco(path, "/coco", instances(folder))) == 4
    with pytest.raises(ValueError, match=r"no rows of split 'testB'; RefCOCOg has test"):
        RefCoco(path, "/coco", instances(folder), split="testB")


def test_a_pickle_of_python_2_is_read_and_runs_nothing(tmp_path: Path) -> None:
    # protocol 0, with a byte string as Python 2 wrote them
    (tmp_path / "old.p").write_bytes(b"(lp0\n(dp1\nS'sent'\np2\nS'caf\\xe9'\np3\nsa.")
    assert read_plain_pickle(tmp_path / "old.p") == [{"sent": "café"}]

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "hacked"),)

    (tmp_path / "evil.p").write_bytes(pickle.dumps([Evil()]))
    with pytest.raises(ValueError, match=r"evil\.p: not read \(it asks for (posix|nt)\.mkdir\)"):
        read_plain_pickle(tmp_path / "evil.p")
    assert not (tmp_path / "hacked").exists()
    (tmp_path / "cut.p").write_bytes(pickle.dumps([1, 2])[:-3])
    with pytest.raises(ValueError, match=r"cut\.p: "):
        read_plain_pickle(tmp_path / "cut.p")
    with pytest.raises(ValueError, match=r"gone\.p: No such file"):
        read_plain_pickle(tmp_path / "gone.p")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((5, 5, 50, 5), r"lies outside its image of 40 x 30 pixels"),
        ((5, 5, 0, 5), r"entry 0: box \(5, 5, 5, 10\) is reversed or empty"),
        ((5, 5), r"bbox \[5, 5\] is not left, top, width, height"),
    ],
)
def test_bad_boxes_are_refused(tmp_path: Path, box: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RefCoco(refs(tmp_path, ref()), "/coco", instances(tmp_path, box))


def test_bad_boxes_of_json_lines_are_refused(tmp_path: Path) -> None:
    row = {"file_name": "a.jpg", "text": "left", "bbox_xyxy": [1, 2, 3]}
    (tmp_path / "refs.jsonl").write_text(json.dumps(row))
    with pytest.raises(ValueError, match=r"refs\.jsonl:1: bbox_xyxy \[1, 2, 3\] is not x0, y0, x1, y1"):
        RefCoco(str(tmp_path / "refs.jsonl"), "/coco")


def test_sizes_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"entry 0: width '40' is no number; write one without quotes"):
        RefCoco(json_file(tmp_path / "refs.json", [ref(bbox=[1, 2, 9, 9], width="40", height=30)]), "/coco")


def test_a_box_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no box for ann_id 7 \(.*instances\.json\)"):
        RefCoco(refs(tmp_path, ref(7)), "/coco", instances(tmp_path))
    with pytest.raises(ValueError, match=r"no `instances` file is given"):
        RefCoco(refs(tmp_path, ref()), "/coco")


def test_sizes_are_read_from_pictures_where_no_file_knows_them(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", ["COCO_train2014_000000000009_3.jpg"])
    path = json_file(tmp_path / "refs.json", [ref(bbox=[1, 2, 10, 10])])
    source = RefCoco(path, folder, split="train")
    assert "image_size" not in next(source.labels())
    assert source[0].labels["image_size"] == (40, 30)
    assert len(source.files(0)) == 1
    with pytest.raises(ValueError, match="no such image"):
        RefCoco(path, "/gone")[0]


def test_real_samples(shared: Path) -> None:
    folder = shared / "data/refcoco_format"
    sample = RefCoco(str(folder / "refcoco_unc_testA_sample_refs.json"), "/coco", split="testA")
    assert len(sample) == 50
    assert next(sample.labels()) == {"box": pytest.approx((0, 95.32, 113.34, 419.59))}
    derived = RefCoco(str(folder / "coco128_derived_grounding_val2017.jsonl"), str(folder))
    assert len(derived) == 180
    assert not list(bad_labels(derived))
    assert Path(derived[0].fields["image"]).is_file()
