"""The original's tables of downstream tasks."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.datasets import (
    AvqaTsv,
    Esc50Tsv,
    Fsd50kTsv,
    ImageClassTsv,
    Nlvr2Tsv,
    RefCocoTsv,
    VggSoundTsv,
    VqaTsv,
)
from onepeace_pl.data.labels.checking import bad_labels
from onepeace_pl.data.source import Source
from tests.unit.data.datasets.making import json_file, pictures, text_file

SOUNDS = "uniq_id\taudio\ttext\tduration"


def table(folder: Path, header: str, *lines: str) -> str:
    return text_file(folder / "a.tsv", header, *lines)


def test_real_tables(shared: Path) -> None:
    data = shared / "data"
    sounds, coco = data / "esc10", data / "coco128"
    shot = Esc50Tsv(str(sounds / "tsv/esc10_zeroshot.tsv"), str(sounds / "tsv/esc10_label.json"), str(sounds))
    assert isinstance(shot, Source)
    assert len(shot.classes) == 10
    assert shot.classes[0] == "dog"
    assert shot[0].labels == {"class": 0}
    one = VggSoundTsv(str(sounds / "tsv/esc10_cls_valid.tsv"), root=str(sounds))
    assert Path(one[0].fields["audio"]).is_file()
    assert {row["class"] for row in one.labels()} == set(range(10))
    assert one.lengths()[0] == 5.0
    asked = AvqaTsv(str(sounds / "tsv/esc10_aqa_derived_train.tsv"), str(sounds))
    assert asked[0].fields["text"][2] == "what makes the sound? answer: dog"
    assert asked[0].labels == {"answer": 2}
    box = RefCocoTsv(str(coco / "tsv/grounding_derived_train.tsv"), str(coco))
    assert box[0].labels == {"box": (174.7, 160.5, 396.1, 332.1), "image_size": (448, 336)}
    vqa = VqaTsv(
        str(coco / "tsv/vqa_derived_train.tsv"), str(coco / "tsv/vqa_derived_ans2label.json"), str(coco)
    )
    assert vqa.classes == ("yes", "no", "1", "2", "3", "4")
    assert vqa[0].labels == {"answers": {"yes": 1.0}}
    assert VqaTsv(str(coco / "tsv/vqa_derived_train.tsv"), root=str(coco))[0].labels == {"answers": {0: 1.0}}
    label = ImageClassTsv(str(data / "cifar10/tsv/cifar10_train.tsv"), root=str(data / "cifar10"))
    assert label[0].labels == {"class": 0}
    for source in (shot, one, asked, box, vqa, label):
        assert not list(bad_labels(source))
        assert len(source.files(0)) == 1


def test_several_classes(tmp_path: Path) -> None:
    path = table(tmp_path, SOUNDS, "1\ta.wav\t3,0\t1.5", "2\tb.wav\t1\t2")
    source = Fsd50kTsv(path, ["a", "b", "c", "d"])
    assert [row["classes"] for row in source.labels()] == [(3, 0), (1,)]
    assert pickle.loads(pickle.dumps(source))[1] == source[1]


def test_two_pictures(tmp_path: Path) -> None:
    header = "uniq_id\ttext\timage1\timage2\tlabel"
    source = Nlvr2Tsv(table(tmp_path, header, "x\ttwo dogs\tl.png\tr.png\tTrue"), root="/images")
    assert source[0].fields == {"image": ("/images/l.png", "/images/r.png"), "text": "two dogs"}
    assert source[0].labels == {"truth": True}
    assert source.files(0) == ["/images/l.png", "/images/r.png"]
    assert list(source.texts()) == ["two dogs"]


def test_several_answers(tmp_path: Path) -> None:
    header = "uniq_id\timage\tquestion\trefs"
    path = table(tmp_path, header, "1\ta.png\twhat?\tyes|!+0|!+0.9&&no way|!+1|!+0.3", "2\ta.png\twhy?\t")
    source = VqaTsv(path, ["yes", "no way"])
    assert source[0].labels == {"answers": {"yes": 0.9, "no way": 0.3}}
    assert source[1].labels == {}


@pytest.mark.parametrize(
    ("make", "header", "line", "message"),
    [
        (lambda p: VggSoundTsv(p, ["a"]), SOUNDS, "1\ta.wav\t1\t5", "class 1 is no number from 0 to 0"),
        (VggSoundTsv, SOUNDS, "1\ta.wav\tdog\t5", "class 'dog' is no whole number"),
        (Fsd50kTsv, SOUNDS, "1\ta.wav\t1,\t5", "class '' is no whole number"),
        (Esc50Tsv, SOUNDS, "x\ta.wav\tdog\t5", "class 'x' is no whole number"),
        (AvqaTsv, SOUNDS, "1\ta.wav\tq&&&a&&&b&&&2\t5", "answer 2 is not among the 2 choices"),
        (AvqaTsv, SOUNDS, "1\ta.wav\tq&&&a\t5", "2 parts between &&&"),
        (ImageClassTsv, "image\tlabel", "a.png\t0", "these tables count classes from 1"),
        (RefCocoTsv, "image\ttext\tregion_coord", "a.png\tdog\t5,5,2,9", "is reversed or empty"),
        (RefCocoTsv, "image\ttext\tregion_coord", "a.png\tdog\tleft", "'left' is not x0,y0,x1,y1"),
        (VqaTsv, "uniq_id\timage\tquestion\trefs", "1\ta\tb\tyes|!+0", "is not answer"),
        (VqaTsv, "uniq_id\timage\tquestion\trefs", "1\ta\tb\tyes|!+0|!+2", "confidence 2.0 of answer 0"),
        (
            lambda p: VqaTsv(p, ["no"]),
            "uniq_id\timage\tquestion\trefs",
            "1\ta\tb\tyes|!+0|!+1",
            "answer 0 is 'yes' here and 'no' in `answers`",
        ),
        (Nlvr2Tsv, "uniq_id\ttext\timage1\timage2\tlabel", "1\ta\tb\tc\tYes", "label 'Yes' is neither"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, make: Any, header: str, line: str, message: str) -> None:
    source = make(table(tmp_path, header, line))
    ((index, complaint),) = bad_labels(source)
    assert index == 0
    assert message in complaint
    assert "a.tsv:2: " in complaint


def test_a_box_outside_its_picture_is_found_with_the_picture(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png"])
    source = RefCocoTsv(table(tmp_path, "image\ttext\tregion_coord", "a.png\tdog\t5,5,90,9"))
    assert not list(bad_labels(source))  # no picture is opened
    with pytest.raises(ValueError, match=r"a\.tsv:2: box .* lies outside its image of 40 x 30"):
        source[0]


def test_columns_of_any_table_are_labels(tmp_path: Path) -> None:
    from onepeace_pl.data.sources import ImageTextTsv

    texts = json_file(tmp_path / "texts.json", {"1": ["x", "y"]})
    source = ImageTextTsv(table(tmp_path, "image_id\timage\tcaption\tplace", "1\ta\tb\there"), captions=texts)
    assert list(source.labels()) == [{"place": "here"}] * 2
    assert list(source.ids()) == ["1", "1"]
