"""A small made-up copy of every benchmark, where ``configs/parts/data`` expects it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.unit.data.datasets.making import json_file, json_lines, pictures, sounds, text_file

SPLITS = ("train", "val", "test")


def write_all(root: Path) -> None:
    """Write everything below ``root/datasets``."""
    data = root / "datasets"
    for write in (
        _imagenet, _captions, _sound_captions, _esc50, _fsd50k, _vggsound, _sound_questions, _refcoco, _vqav2,
        _nlvr2, _kinetics, _masks, _objects,
    ):  # fmt: skip
        write(data)


def _imagenet(data: Path) -> None:
    for folder in ("imagenet", "imagenet21k"):
        for split in ("train", "val"):
            pictures(data / folder / split, [f"n0000000{i}/a.JPEG" for i in range(2)])


def _captions(data: Path) -> None:
    for folder, name, below in (("coco", "coco", "val2014/"), ("flickr30k", "flickr30k", "")):
        images = [
            {
                "filename": f"{name}_{split}.jpg",
                "split": split,
                "imgid": number,
                "sentences": [{"raw": f"a picture of {split}"}, {"raw": "the same"}],
                **({"filepath": "val2014", "cocoid": number} if below else {}),
            }
            for number, split in enumerate(SPLITS)
        ]
        json_file(data / folder / f"dataset_{name}.json", {"images": images, "dataset": name})
        place = data / folder / (below or "flickr30k-images")
        pictures(place, [f"{name}_{split}.jpg" for split in SPLITS])


def _sound_captions(data: Path) -> None:
    for split in SPLITS:
        header, row = "audiocap_id,youtube_id,start_time,caption", f"1,{split},30,a dog barks"
        text_file(data / f"audiocaps/{split}.csv", header, row, "2,gone,0,silence")
    sounds(data / "audiocaps/audio", [f"{split}_30.wav" for split in SPLITS], rate=32_000)
    columns = "file_name," + ",".join(f"caption_{i}" for i in range(1, 6))
    for split in ("development", "validation", "evaluation"):
        text_file(data / f"clotho/clotho_captions_{split}.csv", columns, "rain.wav,a,b,c,d,e")
        sounds(data / "clotho" / split, ["rain.wav"], rate=44_100)


def _esc50(data: Path) -> None:
    rows = [
        f"{fold}-{target}.wav,{fold},{target},{'sea_waves' if target else 'dog'}"
        for fold in range(1, 6)
        for target in (0, 1)
    ]
    text_file(data / "esc50/meta/esc50.csv", "filename,fold,target,category", *rows)
    sounds(data / "esc50/audio", [row.partition(",")[0] for row in rows], rate=44_100)


def _fsd50k(data: Path) -> None:
    folder = data / "fsd50k/FSD50K.ground_truth"
    text_file(folder / "vocabulary.csv", "0,Bark,/m/0", "1,Dog,/m/1")
    text_file(
        folder / "dev.csv", "fname,labels,mids,split", '1,"Bark,Dog","/m/0,/m/1",train', "2,Dog,/m/1,val"
    )
    text_file(folder / "eval.csv", "fname,labels,mids", "3,Dog,/m/1")
    sounds(data / "fsd50k/FSD50K.dev_audio", ["1.wav", "2.wav"], rate=44_100)
    sounds(data / "fsd50k/FSD50K.eval_audio", ["3.wav"], rate=44_100)


def _vggsound(data: Path) -> None:
    text_file(data / "vggsound/stat.csv", "rain,2,nature", '"bee, wasp, etc. buzzing",2,animals')
    rows = ("a,0,rain,train", 'b,30,"bee, wasp, etc. buzzing",test', "gone,1,rain,train")
    text_file(data / "vggsound/vggsound.csv", *rows)
    sounds(data / "vggsound/audio", ["a_000000.wav", "b_000030.wav"])


def _sound_questions(data: Path) -> None:
    for split in ("train", "val"):
        asked = {"video_name": split, "question_text": "What?", "multi_choice": list("abcd"), "answer": 3}
        json_file(data / f"avqa/{split}_qa.json", [asked])
        sounds(data / "avqa/audio", [f"{split}.wav"])
    for split in SPLITS:
        asked = {
            "video_id": split,
            "question_id": 1,
            "type": '["Audio", "Counting"]',
            "question_content": "How many <Object>?",
            "templ_values": '["flutes"]',
            "anser": "two",
        }
        json_file(data / f"music_avqa/avqa-{split}.json", [asked])
        sounds(data / "music_avqa/audio", [f"{split}.wav"])


def _refcoco(data: Path) -> None:
    picture = "COCO_train2014_000000000001.jpg"
    pictures(data / "coco/train2014", [picture])
    for name, by, tests in (
        ("refcoco", "unc", ("testA", "testB")),
        ("refcoco+", "unc", ("testA", "testB")),
        ("refcocog", "umd", ("test",)),
    ):
        refs = [
            {
                "ann_id": 1,
                "image_id": 1,
                "split": split,
                "file_name": "COCO_train2014_000000000001_0.jpg",
                "sentences": [{"sent": "the dog", "sent_id": number}],
            }
            for number, split in enumerate(("train", "val", *tests))
        ]
        content: dict[str, Any] = {
            "images": [{"id": 1, "file_name": picture, "width": 40, "height": 30}],
            "annotations": [{"id": 1, "bbox": [1, 2, 20, 20]}],
        }
        json_file(data / name / "instances.json", content)
        (data / name / f"refs({by}).p").write_bytes(pickle.dumps(refs, protocol=2))


def _vqav2(data: Path) -> None:
    for subset, pictures_of in (
        ("train2014", "train2014"),
        ("val2014", "val2014"),
        ("test-dev2015", "test2015"),
    ):
        asked = {"image_id": 1, "question": "Is it?", "question_id": 10}
        note = {
            "question_id": 10,
            "answers": [{"answer": "yes"}] * 10,
            "multiple_choice_answer": "yes",
            "answer_type": "yes/no",
        }
        file = data / f"vqav2/v2_OpenEnded_mscoco_{subset}_questions.json"
        json_file(file, {"questions": [asked], "data_subtype": subset})
        json_file(data / f"vqav2/v2_mscoco_{subset}_annotations.json", {"annotations": [note]})
        pictures(data / f"coco/{pictures_of}", [f"COCO_{pictures_of}_000000000001.jpg"])
    json_file(data / "vqav2/answers.json", ["yes", "no"])
    for name, refs in (
        ("vqav2_vg_train", "yes|!+0|!+1.0"),
        ("vqav2_rest_val", "no|!+1|!+0.3"),
        ("vqav2_test-dev", ""),
    ):
        text_file(data / f"vqav2/{name}.tsv", "uniq_id\timage\tquestion\trefs", f"1\ta.png\tis it?\t{refs}")
    pictures(data / "vqav2", ["a.png"])


def _nlvr2(data: Path) -> None:
    for split in ("train", "dev", "test1"):
        more = {"directory": 7} if split == "train" else {}
        row = {"identifier": f"{split}-1-0-0", "sentence": "two dogs", "label": "True", **more}
        json_lines(data / f"nlvr2/data/{split}.json", [row])
        folder = data / f"nlvr2/images/{split}" / ("7" if more else "")
        pictures(folder, [f"{split}-1-0-img{side}.png" for side in (0, 1)])


def _kinetics(data: Path) -> None:
    for split in ("train", "val"):
        text_file(
            data / f"kinetics400/{split}.csv",
            "label,youtube_id,time_start,time_end,split",
            f"surfing,a,0,10,{split}",
        )
        text_file(data / f"kinetics400/{split}/a_000000_000010.mp4", "no video: the test opens none")


def _masks(data: Path) -> None:
    lines = ["Idx\tRatio\tTrain\tVal\tName", *(f"{i}\t0.1\t1\t1\tthing {i}" for i in range(1, 151))]
    text_file(data / "ade20k/objectInfo150.txt", *lines)
    text_file(data / "coco_stuff/labels.txt", *(f"{i}: thing {i}" for i in range(183)))
    for folder, masks, splits in (
        ("ade20k", "annotations", ("training", "validation")),
        ("coco_stuff", "masks", ("train2017", "val2017")),
    ):
        for split in splits:
            pictures(data / folder / "images" / split, ["a.jpg"])
            place = data / folder / masks / split / "a.png"
            place.parent.mkdir(parents=True)
            Image.fromarray(np.ones((30, 40), np.uint8)).save(place)


def _objects(data: Path) -> None:
    note = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [1, 1, 9, 9],
        "segmentation": [[1, 1, 9, 1, 9, 9]],
    }
    for split in ("train2017", "val2017"):
        image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
        content = {
            "images": [image],
            "annotations": [note],
            "categories": [{"id": number + 1, "name": f"thing {number}"} for number in range(80)],
        }
        json_file(data / f"coco/annotations/instances_{split}.json", content)
        pictures(data / f"coco/{split}", ["a.jpg"])
