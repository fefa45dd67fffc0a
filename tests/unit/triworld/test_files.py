import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from onepeace_pl.data.sources import AudioTextTsv, ImageTextTsv, TsvSource
from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.audio import synthesise
from onepeace_pl.triworld.files import WriteOptions, write_world
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.language.expressions import referring_expressions

OPTIONS = WriteOptions(
    scenes={"train": 5, "val": 3},
    image_size=64,
    seconds=1.0,
    objects=(1, 3),
    clip_frames=2,
    seed=4,
    progress=False,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"), OPTIONS)


@pytest.fixture(scope="module")
def scenes() -> list:
    return list(World("train", 5, Law((1, 3)), seed=4))


def rows(path: Path) -> list[dict[str, str]]:
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    columns = header.split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]


def test_pictures_and_sounds_are_exact(folder: Path, scenes: list) -> None:
    for number, scene in enumerate(scenes):
        image = np.asarray(Image.open(folder / f"images/train/{number:06d}.png"))
        np.testing.assert_array_equal(image, render(scene, 64))
        wave, rate = soundfile.read(folder / f"audio/train/{number:06d}.flac", dtype="float32")
        assert rate == 16000
        np.testing.assert_array_equal(wave, synthesise(scene, 1.0))
        mask = np.asarray(Image.open(folder / f"masks/train/{number:06d}.png"))
        np.testing.assert_array_equal(mask, regions.semantic_mask(scene, 64))


def test_our_readers_read_the_tables(folder: Path) -> None:
    images = ImageTextTsv(str(folder / "train.tsv"))
    assert len(images) == 10  # two captions a scene
    assert images[0].id == images[1].id
    assert Path(images[0].fields["image"]).is_file()
    sounds = AudioTextTsv(str(folder / "audio_train.tsv"))
    assert len(sounds) == 10
    assert Path(sounds[3].fields["audio"]).is_file()
    vqa = TsvSource(str(folder / "vqa_train.tsv"), {"image": "image", "text": "question"}, "uniq_id")
    assert vqa[0].fields["text"].endswith("?")


def test_evaluation_tables(folder: Path) -> None:
    for prefix, column in (("", "image_id"), ("audio_", "uniq_id")):
        table = rows(folder / f"{prefix}val_new.tsv")
        texts = json.loads((folder / f"{prefix}val_texts.json").read_text())
        assert [row[column] for row in table] == list(texts) == ["0", "1", "2"]
        assert all(len(captions) == 2 for captions in texts.values())


def test_question_tables(folder: Path) -> None:
    labels = json.loads((folder / "vqa_ans2label.json").read_text())
    for row in rows(folder / "vqa_train.tsv"):
        answer, label, confidence = row["refs"].split("|!+")
        assert labels[answer] == int(label)
        assert confidence == "1.0"
    chosen = set()
    for row in rows(folder / "aqa_train.tsv"):
        question, *choices, right = row["text"].split("&&&")
        assert question.endswith("?")
        assert len(set(choices)) == 4
        chosen.add(int(right))
    assert chosen == {0, 1, 2, 3}


def test_grounding_and_pairs(folder: Path, scenes: list) -> None:
    table = rows(folder / "grounding_train.tsv")
    expected = [
        (expression.text, regions.boxes(scene, 64)[expression.target].tolist())
        for scene in scenes
        for expression in referring_expressions(scene)
    ]
    assert [(row["text"], [float(x) for x in row["region_coord"].split(",")]) for row in table] == expected
    pairs = rows(folder / "pairs_train.tsv")
    assert len(pairs) == 4
    assert {row["label"] for row in pairs} <= {"True", "False"}


def test_coco(folder: Path, scenes: list, capsys: pytest.CaptureFixture[str]) -> None:
    coco = COCO(str(folder / "instances_train.json"))
    assert len(coco.imgs) == 5
    assert len(coco.cats) == 12
    for number, scene in enumerate(scenes):
        found = coco.loadAnns(coco.getAnnIds(number))
        for annotation, mask, box in zip(
            found, regions.instance_masks(scene, 64), regions.boxes(scene, 64), strict=True
        ):
            np.testing.assert_array_equal(rle.decode(annotation["segmentation"]), mask)
            assert annotation["area"] == mask.sum()
            x, y, w, h = annotation["bbox"]
            assert [x, y, x + w, y + h] == box.tolist()


def test_classes_clips_and_scenes(folder: Path, scenes: list) -> None:
    classes = json.loads((folder / "classes.json").read_text())
    for row, scene in zip(rows(folder / "sounds_train.tsv"), scenes, strict=True):
        assert {classes[number][0] for number in row["text"].split(",")} == set(scene.kinds)
    clips = rows(folder / "clips_train.tsv")
    assert len(list((folder / clips[0]["clip"]).glob("*.png"))) == int(clips[0]["frames"]) == 2
    lines = (folder / "scenes_train.jsonl").read_text().splitlines()
    assert [json.loads(line)["novel"] for line in lines] == [False] * 5


def test_refusals() -> None:
    with pytest.raises(ValueError, match="split 'dev'"):
        WriteOptions(scenes={"dev": 3})
    with pytest.raises(ValueError, match="image_size=9"):
        WriteOptions(image_size=9)
