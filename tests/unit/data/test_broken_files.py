"""A broken file is refused in one line, or its rows can be read: never another error, never all memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from onepeace_pl.cli.failures import user_message
from onepeace_pl.data import datasets
from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.labels.checking import bad_labels
from onepeace_pl.data.labels.objects import ObjectsTarget
from onepeace_pl.data.sources import AudioTextTsv, ImageTextTsv, ManifestSource

from .breaking import little_memory, write_broken

Make = Callable[[str], Any]

COCO = {
    "info": {"year": 2017},
    "images": [{"id": number, "file_name": f"{number}.jpg", "width": 10, "height": 8} for number in (5, 6, 7)],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 3, "bbox": [2, 1, 4, 4], "area": 16, "iscrowd": 0,
         "segmentation": [[2, 1, 6, 1, 6, 5], [2.5, 1, 6, 1.5, 6, 5, 2, 5]]},
        {"id": 2, "image_id": 5, "category_id": 4, "bbox": [0, 0, 10, 8], "iscrowd": 1,
         "segmentation": {"size": [8, 10], "counts": [10, 20, 50]}},
        {"id": 3, "image_id": 6, "category_id": 4, "bbox": [1, 1, 2.5, 3], "area": 7.5,
         "segmentation": {"size": [8, 10], "counts": ":350f1"}},
        {"id": 4, "image_id": 7, "category_id": 3, "bbox": [1, 1, 2, 3], "segmentation": [[1, 1, 3, 1, 3, 4]]},
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
}  # fmt: skip
CAPTIONS = {
    "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
    "annotations": [{"image_id": 1, "caption": "a dog \U0001f415"}, {"image_id": 2, "caption": "a cat"}],
}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {"split": "train", "cocoid": number, "filepath": "train2014", "filename": f"{number}.jpg",
         "sentences": [{"raw": "a dog"}, {"raw": "one dog"}]}
        for number in (1, 2)
    ],
}  # fmt: skip
REFS = [
    {"split": "train", "ann_id": 1, "image_id": 5, "file_name": "5.jpg", "bbox": [1, 1, 3, 3], "width": 9, "height": 9,
     "sentences": [{"sent_id": 1, "sent": "left dog"}, {"sent_id": 2, "sent": "dog"}]},
    {"split": "train", "ann_id": 2, "image_id": 6, "file_name": "6.jpg", "bbox": [1, 1, 3, 3.5],
     "sentences": [{"sent_id": 3, "sent": "cat"}]},
]  # fmt: skip
EXPRESSIONS = [
    {
        "uniq_id": number,
        "file_name": "5.jpg",
        "text": "left dog",
        "bbox_xyxy": [1, 1, 3, 4],
        "width": 9,
        "height": 9,
    }
    for number in (1, 2)
]
VQA = {
    "data_subtype": "val2014",
    "questions": [{"question_id": n, "image_id": 7, "question": "is it?"} for n in (1, 2)],
    "annotations": [
        {"question_id": n, "answers": [{"answer": "yes"}] * 9 + [{"answer": "no"}], "answer_type": "yes/no",
         "multiple_choice_answer": "yes"}
        for n in (1, 2)
    ],
}  # fmt: skip
CHOICES = [
    {"id": n, "video_name": "v", "question_text": "which?", "multi_choice": ["a", "b"], "answer": 1,
     "question_type": "Which"}
    for n in (1, 2)
]  # fmt: skip
MUSIC = [
    {"question_id": n, "video_id": "v", "question_content": "Is the <Object> loud?", "templ_values": '["cello"]',
     "anser": "yes", "type": '["Audio", "Counting"]'}
    for n in (1, 2)
]  # fmt: skip
PAIRS = [
    {"identifier": f"dev-{n}-0", "label": "True", "sentence": "two dogs", "directory": 3} for n in (1, 2)
]
ROWS = [
    {"id": n, "image": "a.jpg", "text": "a dog", "kind": n, "tags": ["x", "y"], "where": [1, 2, 3, 4], "big": [9, 9],
     "says": {"yes": 0.5}, "holds": True, "group": "g", "options": ["a", "b"], "right": "b"}
    for n in (0, 1, 2)
]  # fmt: skip
LABELS = {
    "class": "kind", "classes": "tags", "box": "where", "image_size": "big", "answers": "says", "truth": "holds",
    "group": "group", "answer": "right",
}  # fmt: skip


def manifest(path: str) -> ManifestSource:
    return ManifestSource(path, labels=LABELS, choices="options", id_column="id")


TREES: dict[str, tuple[str, Any, Make]] = {
    "captions": ("c.json", CAPTIONS, lambda path: datasets.CocoCaptions(path, "p")),
    "karpathy": ("k.json", KARPATHY, lambda path: datasets.CocoKarpathy(path, "p")),
    "refs": ("refs.json", REFS, lambda path: datasets.RefCoco(path, "p", split="train")),
    "pickle": ("refs.p", REFS, lambda path: datasets.RefCoco(path, "p", split="train")),
    "instances": ("i.json", COCO, lambda path: datasets.RefCoco(_beside(path, REFS), "p", path)),
    "expressions": ("e.jsonl", EXPRESSIONS, lambda path: datasets.RefCoco(path, "p")),
    "vqa": ("q.json", VQA, lambda path: datasets.VqaV2(path, "p", path, min_count=1)),
    "avqa": ("a.json", CHOICES, lambda path: datasets.Avqa(path, "p")),
    "music": ("m.json", MUSIC, lambda path: datasets.MusicAvqa(path, "p")),
    "nlvr2": ("n.jsonl", PAIRS, lambda path: datasets.Nlvr2(path, "p")),
    "json lines": ("m.jsonl", ROWS, manifest),
    "classes": ("c.json", {"0": ["dog"], "1": "cat", "2": ["cow", "bull"]}, lambda path: _Names(path)),
    "captions of a table": (
        "t.json", {"1": ["a dog", "one dog"], "2": ["a cat"]},
        lambda path: ImageTextTsv(_table(path), captions=path),
    ),
}  # fmt: skip
TABLES: dict[str, tuple[str, str, Make]] = {
    "csv": (
        "m.csv",
        "id,image,text,kind,tags,where,big,says,holds,group,options,right\n"
        + '0,a.jpg,a dog,0,x;y,,9 9,yes,true,g,a;b,0\n1,b.jpg,a cat,1,x,"1,2,3,4",9 9,no,no,g,a;b,0\n',
        lambda path: ManifestSource(path, labels={"class": "kind", "truth": "holds", "answers": "says"}),
    ),
    "csv of boxes": (
        "b.csv", "image,text,x0,y0,x1,y1\na.jpg,a dog,1,2,3,4\nb.jpg,a cat,0,0,5,6\n",
        lambda path: ManifestSource(path, labels={"box": ["x0", "y0", "x1", "y1"]}),
    ),
    "pictures": (
        "p.tsv", "image_id\timage\tcaption\n1\ta.jpg\ta dog\n2\t/9j/4AAQ\ta cat\n", lambda path: ImageTextTsv(path)
    ),
    "sounds": (
        "s.tsv", "uniq_id\taudio\ttext\tduration\n1\ta.wav\ta dog\t2.5\n2\tb.wav\ta cat\t1\n", lambda path: _Timed(path)
    ),
    "vqa": (
        "v.tsv", "uniq_id\timage\tquestion\trefs\n1\ta.jpg\twhat?\t3|!+1|!+0.6&&4|!+2|!+1\n2\ta.jpg\twhat?\t\n",
        lambda path: datasets.VqaTsv(path),
    ),
    "boxes": ("r.tsv", "image\ttext\tregion_coord\na.jpg\tdog\t1,2,3,4.5\n", lambda path: datasets.RefCocoTsv(path)),
    "choices": (
        "a.tsv", "uniq_id\taudio\ttext\tduration\n1\ta.wav\twhat?&&&a&&&b&&&1\t3\n", lambda path: datasets.AvqaTsv(path)
    ),
    "numbers": (
        "f.tsv", "uniq_id\taudio\ttext\tduration\n1\ta.wav\t3,17\t3\n2\ta.wav\t4\t3\n",
        lambda path: datasets.Fsd50kTsv(path),
    ),
    "esc50": (
        "e.csv", "filename,fold,target,category\na.wav,1,0,dog\nb.wav,2,1,cat\n", lambda path: datasets.Esc50(path, "a")
    ),
    "audiocaps": (
        "c.csv", "audiocap_id,youtube_id,start_time,caption\n1,ab,30,a dog\n2,cd,0,a cat\n",
        lambda path: datasets.AudioCaps(path, "a"),
    ),
    "vggsound": (
        "g.csv", "ab,30,dog,train\ncd,4,cat,test\n", lambda path: datasets.VggSound(path, "a", _stat(path))
    ),
    "kinetics": (
        "k.csv", "label,youtube_id,time_start,time_end,split\nrun,ab,0,10,train\nwalk,cd,3,13,train\n",
        lambda path: datasets.Kinetics(path, "v"),
    ),
    "yolo": ("data.yaml", "train: .\nnames:\n  0: cat\n  1: dog\n", lambda path: datasets.YoloObjects(_seen(path))),
    "yolo's boxes": ("a.txt", "0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.9 0.1 0.9 0.9\n", lambda path: _yolo(path)),
    "voc": (
        "a.xml",
        "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
        "</object></annotation>",
        lambda path: datasets.VocObjects(str(Path(path).parent), str(Path(_seen(path)).parent)),
    ),
}  # fmt: skip
READERS = {**TREES, **{f"table of {name}": case for name, case in TABLES.items()}}


def read_all(path: Path, make: Make) -> str:
    """Read a file and all of its rows; return what happened: "refused", "a bad row" or "read"."""
    try:
        source = make(str(path))
    except ValueError as error:
        line = user_message(error)
        assert line is not None, f"{path.read_bytes()[:2000]!r}"
        assert path.name in line or "refs" in line
        assert len(line) < 1000
        return "refused"
    bad = list(bad_labels(source, getattr(source, "classes", ())))
    boxes = datasets.CocoObjects | datasets.YoloObjects | datasets.VocObjects
    masks = isinstance(source, datasets.CocoObjects)
    targets = ObjectsTarget(source.classes, masks=masks) if isinstance(source, boxes) else None
    for number in range(len(source)):
        try:
            row = source[number]
            if targets is not None:
                targets(row.labels)
        except ValueError as error:
            line = user_message(error)
            assert line is not None
            assert len(line) < 1000
            bad.append((number, line))
    for name in ("ids", "texts"):
        try:
            list(getattr(source, name, list)())
        except ValueError as error:
            line = user_message(error)
            assert line is not None
            bad.append((0, line))
    return "a bad row" if bad else "read"


def fuzz(tmp_path: Path, case: tuple[str, Any, Make], seeds: range) -> set[str]:
    name, content, make = case
    outcomes = set()
    with little_memory():
        for seed in seeds:
            write_broken(tmp_path / name, content, seed)
            try:
                outcomes.add(read_all(tmp_path / name, make))
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
    return outcomes


def coco(path: str) -> datasets.CocoObjects:
    return datasets.CocoObjects(path, "pictures")


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    from .breaking import _json

    for name, content, make in ((("o.json", COCO, coco)), *READERS.values()):
        written = content if isinstance(content, str) else _json(content)
        if name.endswith(".jsonl"):
            written = "\n".join(map(_json, content))
        if not name.endswith(".p"):
            (tmp_path / name).write_text(written)
            make(str(tmp_path / name))


def test_broken_files_of_objects(tmp_path: Path) -> None:
    assert fuzz(tmp_path, ("o.json", COCO, coco), range(200)) == {"refused", "a bad row", "read"}


@pytest.mark.parametrize("reader", READERS)
def test_broken_files_of_every_reader(reader: str, tmp_path: Path) -> None:
    assert "refused" in fuzz(tmp_path, READERS[reader], range(30))


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["objects", *READERS])
def test_many_broken_files(reader: str, tmp_path: Path) -> None:
    case = ("o.json", COCO, coco) if reader == "objects" else READERS[reader]
    fuzz(tmp_path, case, range(1000, 4000))


class _Names:
    """A file of names that is read as rows are."""

    def __init__(self, path: str) -> None:
        self.classes = read_classes(path)

    def __len__(self) -> int:
        return 0

    def labels(self) -> list[Any]:
        return []


class _Timed(AudioTextTsv):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.lengths()


def _beside(path: str, refs: list[Any]) -> str:
    import json

    other = Path(path).with_name("refs.json")
    other.write_text(json.dumps([{k: v for k, v in ref.items() if k != "bbox"} for ref in refs]))
    return str(other)


def _seen(path: str) -> str:
    """Draw an image beside a file; return its path."""
    image = Path(path).with_name("a.png")
    if not image.exists():
        Image.new("RGB", (8, 8)).save(image)
    return path


def _yolo(path: str) -> datasets.YoloObjects:
    described = Path(_seen(path)).with_name("data.yaml")
    described.write_text("train: .\nnames: [cat, dog]\n")
    return datasets.YoloObjects(str(described))


def _table(path: str) -> str:
    other = Path(path).with_suffix(".tsv")
    other.write_text("image_id\timage\tcaption\n1\ta.jpg\t\n2\tb.jpg\t\n")
    return str(other)


def _stat(path: str) -> str:
    other = Path(path).with_name("stat.txt")
    other.write_text("dog\ncat\n")
    return str(other)
