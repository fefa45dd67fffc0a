"""finetune detection: YOLO's and Pascal VOC's format are found, and trained on."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .test_finetune import _model, config_of, finetune  # noqa: F401 - the model of these tests, too

OBJECT = "<object><name>box</name><bndbox><xmin>9</xmin><ymin>5</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>"


def yolo(folder: str, counts: dict[str, int], polygons: bool = False) -> None:
    for part, count in counts.items():
        for number in range(count):
            image = Path(folder, "images", part, f"{number}.jpg")
            label = Path(folder, "labels", part, f"{number}.txt")
            for file in (image, label):
                file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 64), (90, 20 * number, 90)).save(image)
            label.write_text("0 0.2 0.2 0.6 0.2 0.6 0.7\n" if polygons else "0 0.5 0.5 0.4 0.5\n")
    parts = "".join(f"{part}: images/{part}\n" for part in counts)
    Path(folder, "data.yaml").write_text(f"{parts}names: [box]\n")


def voc(folder: str, count: int, listed: bool) -> None:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        Path(folder, name).mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (80, 64)).save(Path(folder, "JPEGImages", f"{number}.jpg"))
        Path(folder, "Annotations", f"{number}.xml").write_text(f"<annotation>{OBJECT}</annotation>")
    if listed:
        for part, names in (("train", range(1, count)), ("val", [0])):
            lines = "".join(f"{name}\n" for name in names)
            Path(folder, "ImageSets/Main", f"{part}.txt").write_text(lines)


def sources(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    made = config["data"]["init_args"]
    return made["train"], made["validation"]


def test_yolo(capsys: pytest.CaptureFixture[str]) -> None:
    yolo("boxes", {"train": 4, "val": 2})
    assert finetune("detection", "boxes", "--max-steps", "1", "--batch-size", "2") == 0
    assert "format         YOLO" in capsys.readouterr().out
    config = config_of("detection", "boxes/data.yaml", "--run", "again", name="again.yaml")
    train, validation = sources(config)
    assert train == {"class_path": "YoloObjects", "init_args": {"path": "boxes/data.yaml"}}
    assert str(validation).count("'part': 'val'") == 1
    assert config["model"]["task"]["init_args"]["masks"] is False


def test_yolo_without_validation() -> None:
    yolo("boxes", {"train": 6}, polygons=True)
    config = config_of("detection", "boxes")
    train, validation = sources(config)
    assert train["class_path"] == "PartSource"
    assert train["init_args"]["source"]["class_path"] == "YoloObjects"
    assert "PartSource" in str(validation)
    assert config["model"]["task"]["init_args"]["masks"] is True


@pytest.mark.parametrize("listed", [True, False])
def test_pascal_voc(listed: bool) -> None:
    voc("boxes", 6, listed)
    assert finetune("detection", "boxes", "--max-steps", "1", "--batch-size", "2") == 0
    train, validation = sources(config_of("detection", "boxes", "--run", "again", name="again.yaml"))
    assert ("train.txt" in str(train)) is ("val.txt" in str(validation)) is listed
    assert "VocObjects" in str(train)


def test_other_validation_data_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    yolo("boxes", {"train": 4, "val": 2})
    assert finetune("detection", "boxes", "--val", "elsewhere", "--config-only") == 2
    assert "--val elsewhere: these data name their own parts" in capsys.readouterr().err
