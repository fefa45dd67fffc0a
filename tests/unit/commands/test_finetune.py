"""finetune TASK: data of every form, guesses, the config, training and prediction, mistakes."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image, ImageDraw

from onepeace_pl import OnePeace
from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig
from onepeace_pl.cli import main as cli
from onepeace_pl.modalities import ImageAdapter, ImageProcessor, ModalityInput, ModalitySample, Processor
from onepeace_pl.training.experiment import Experiment
from tests.unit.hub.conftest import make_model
from tests.unit.samples import Touch

COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}


@pytest.fixture(autouse=True)
def _model(_toy_in_empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onepeace_pl.cli.lightning.default_experiment", lambda: Experiment)
    make_model().save_pretrained("model")


def finetune(task: str, data: str, *words: str) -> int:
    return cli(["finetune", task, "--data", data, "--init", "model", "--num-workers", "0", *words])


def config_of(task: str, data: str, *words: str, name: str = "") -> dict[str, Any]:
    """Write a config, and return what it says."""
    assert finetune(task, data, *words, "--config-only") == 0
    found: dict[str, Any] = yaml.safe_load(Path(name or f"{Path(data).stem}_{task}.yaml").read_text())
    return found


def draw(path: Path, colour: str, number: int) -> None:
    rng = np.random.default_rng(number)
    noise = rng.integers(-30, 30, (40, 48, 3)) + np.array(COLOURS[colour])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path)


def class_folders(root: str, count: int = 10, first: int = 0) -> None:
    for colour in COLOURS:
        for number in range(first, first + count):
            draw(Path(root, colour, f"{number}.png"), colour, number)


def write_table(path: str, rows: list[dict[str, object]]) -> None:
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def pictures(count: int = 12) -> list[tuple[str, str]]:
    """Draw pictures; return path and colour of each."""
    colours = list(COLOURS)
    found = [(f"photos/{number}.png", colours[number % 3]) for number in range(count)]
    for number, (path, colour) in enumerate(found):
        draw(Path(path), colour, number)
    return found


def test_class_folders_to_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    class_folders("pets")
    class_folders("new", 2, first=20)
    assert finetune("classification", "pets", "--max-steps", "40", "--lr", "5e-3", "--batch-size", "8") == 0
    said = capsys.readouterr().out
    assert re.search(
        r"^split +1 in 5 of each class for validation +no train and val parts \(--val\)$", said, re.M
    )
    assert re.search(r"^classes +3 +blue, green, red \(--classes\)$", said, re.M)
    assert re.search(r"^image size +32 px +the model's preprocessing", said, re.M)
    assert "new files: python -m onepeace_pl predict runs/pets_classification" in said
    assert cli(["predict", "runs/pets_classification", "new", "--to", "out.csv", "--device", "cpu"]) == 0
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [Path(row["id"]).parent.name for row in rows]
    assert len(rows) == 6
    again = ["fit", "--config", "pets_classification.yaml", "--run", "again", "--trainer.max_steps", "1"]
    assert cli(again) == 0


def test_the_config_is_that_of_the_data_and_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    class_folders("pets")
    config = config_of("classification", "pets", "--trainer.precision", "bf16-mixed", "--lr", "1e-4")
    assert config["config"] == "parts/finetune"
    assert config["trainer"]["precision"] == "bf16-mixed"
    assert config["model"]["optimizer"] == {"lr": 1e-4}
    assert list(config["model"]["backbone"]["init_args"]["adapters"]) == ["image"]
    data = config["data"]["init_args"]
    assert data["processors"]["image"]["init_args"]["size"] == 32
    assert data["validation"]["pets"]["init_args"]["take"] == [4]
    assert data["batch_size"] == 2
    text = Path("pets_classification.yaml").read_text()
    assert "# python -m onepeace_pl fit --config pets_classification.yaml --run pets_classification" in text
    assert "wrote pets_classification.yaml" in capsys.readouterr().out
    config_of("classification", "pets", "--trainer.precision", "bf16-mixed", "--lr", "1e-4")
    assert not Path("pets_classification.1.yaml").exists()  # nothing has changed
    config_of("classification", "pets", "--size", "48", "--stage", "{lora: 2}", "--epochs", "3")
    assert "older config moved to pets_classification.1.yaml" in capsys.readouterr().out
    changed = yaml.safe_load(Path("pets_classification.yaml").read_text())
    assert changed["trainer"]["max_epochs"] == 3
    options = changed["model"]["backbone"]["init_args"]
    assert options["stage"] == {"lora": 2}
    assert options["adapters"]["image"]["init_args"]["image_size"] == 48
    more = (
        "--trainer.callbacks+=EarlyStopping",
        "--trainer.callbacks.monitor",
        "val/accuracy",
        "--run",
        "x/stops",
    )
    stops = config_of("classification", "pets", *more, name="stops.yaml")
    stopping = {"class_path": "EarlyStopping", "init_args": {"monitor": "val/accuracy"}}
    assert stops["trainer"]["callbacks+"] == [stopping]


def test_train_and_val_folders(capsys: pytest.CaptureFixture[str]) -> None:
    class_folders("pets/train", 4)
    class_folders("pets/valid", 1, first=10)
    shutil.rmtree("pets/valid/red")
    config = config_of("classification", "pets", "--to", "configs/pets.yaml", name="configs/pets.yaml")
    assert config["data"]["init_args"]["train"]["init_args"] == {"path": "pets/train"}
    held_out = config["data"]["init_args"]["validation"]["pets"]["init_args"]
    assert held_out == {"path": "pets/valid", "classes": ["blue", "green", "red"]}
    assert "no validation rows of red" in capsys.readouterr().out


def test_sounds_and_tables_of_classes(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for kind in ("bee", "dog"):
        Path("sounds", kind).mkdir(parents=True)
        for number in range(5):
            soundfile.write(Path("sounds", kind, f"{number}.wav"), rng.normal(size=4000) / 5, 8000)
    config = config_of("classification", "sounds")
    assert config["model"]["task"]["init_args"] == {"modality": "audio"}
    assert config["data"]["init_args"]["processors"]["audio"]["init_args"]["resample"] is True
    found = pictures()
    write_table("kinds.csv", [{"file_name": Path(path).name, "kind": colour} for path, colour in found])
    table = config_of("classification", "kinds.csv")["data"]["init_args"]["train"]["init_args"]["source"]
    assert table["class_path"] == "ManifestSource"
    assert table["init_args"]["columns"] == {"image": "file_name"}
    assert table["init_args"]["labels"] == {"class": "kind"}
    assert table["init_args"]["root"] == "photos"
    tags: list[dict[str, object]] = [{"image": path, "tags": f"{colour}, plain"} for path, colour in found]
    write_table("tags.csv", tags)
    assert (
        config_of("classification", "tags.csv")["model"]["task"]["class_path"] == "MultiLabelClassification"
    )
    words: list[dict[str, object]] = [{"text": f"a {colour} wall", "label": colour} for _, colour in found]
    Path("words.jsonl").write_text("\n".join(map(json.dumps, words)))
    said = config_of("classification", "words.jsonl")
    assert said["model"]["task"]["init_args"] == {"modality": "text"}
    assert said["data"]["init_args"]["processors"]["text"]["init_args"]["tokenizer"] == "model/tokenizer.json"


class PressureProcessor(Processor):
    """Files of pressures (L, 3)."""

    def __call__(
        self, raw: object, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        values = torch.from_numpy(np.load(str(raw))).float()
        return ModalitySample(values, len(values))

    def collate(self, samples: Sequence[ModalitySample]) -> ModalityInput:
        return ModalityInput(torch.stack([sample.values for sample in samples]))


def test_a_modality_of_a_plug_in(capsys: pytest.CaptureFixture[str]) -> None:
    backbone = Backbone({"touch": Touch}, TransformerConfig("debug"), DecoderConfig(0))
    OnePeace(backbone, {"touch": PressureProcessor()}).save_pretrained("model")
    for number, kind in enumerate(("soft", "hard")):
        Path("felt", kind).mkdir(parents=True)
        for row in range(6):
            np.save(Path("felt", kind, f"{row}.npy"), np.full((5, 3), 3.0 * number + row / 10))
    assert finetune("classification", "felt") == 2
    assert "no image or audio file in 2 folders" in capsys.readouterr().err
    words = "--endings", ".npy=touch", "--max-steps", "30", "--lr", "5e-3"
    assert finetune("classification", "felt", *words) == 0
    config = yaml.safe_load(Path("felt_classification.yaml").read_text())
    assert config["data"]["init_args"]["processors"] == {
        "touch": {"class_path": f"{__name__}.PressureProcessor"}
    }
    predict = ["predict", "runs/felt_classification", "felt", "--device", "cpu", "--to", "out.csv"]
    assert cli(predict) == 2
    assert "no file of touch (no known ending: --endings)" in capsys.readouterr().err
    assert cli([*predict, "--endings", ".npy=touch"]) == 0
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [Path(row["id"]).parent.name for row in rows]
    assert cli([*predict, "--endings", "npy"]) == 2
    assert "--endings npy: write ENDING=MODALITY" in capsys.readouterr().err


def test_retrieval_keeps_the_captions_of_a_picture_together() -> None:
    rows: list[dict[str, object]] = [
        {"image": path, "caption": f"{what} {colour} wall"}
        for path, colour in pictures()
        for what in ("a", "one")
    ]
    write_table("pairs.csv", rows)
    assert finetune("retrieval", "pairs.csv", "--max-steps", "1") == 0
    config = yaml.safe_load(Path("pairs_retrieval.yaml").read_text())
    source = config["data"]["init_args"]["train"]["init_args"]["source"]["init_args"]
    assert source["columns"] == {"image": "image", "text": "caption"}
    assert source["id_column"] == "image"
    assert config["model"]["task"]["init_args"]["pair"] == ["image", "text"]
    assert Path("runs/pairs_retrieval/report.md").is_file()
    Path("side").mkdir()
    for number, (path, colour) in enumerate(pictures()):
        Path(path).rename(f"side/{number}.png")
        Path(f"side/{number}.txt").write_text(f"a {colour} wall")
    beside = config_of("retrieval", "side")["data"]["init_args"]["train"]["init_args"]["source"]
    assert beside == {"class_path": "FolderSource", "init_args": {"path": "side"}}


def test_grounding_and_questions() -> None:
    boxes = [
        {"image": path, "phrase": f"the {colour} part", "x0": 2, "y0": 3, "x1": 20, "y1": 30}
        for path, colour in pictures()
    ]
    Path("boxes.jsonl").write_text("\n".join(map(json.dumps, boxes)))
    assert finetune("grounding", "boxes.jsonl", "--max-steps", "1") == 0
    config = yaml.safe_load(Path("boxes_grounding.yaml").read_text())
    source = config["data"]["init_args"]["train"]["init_args"]["source"]["init_args"]
    assert source["labels"] == {"box": ["x0", "y0", "x1", "y1"]}
    rows: list[dict[str, object]] = [
        {"image": path, "question": "what colour?", "answer": colour, "a": "blue", "b": "red"}
        for path, colour in pictures()
    ]
    write_table("asked.csv", rows)
    assert finetune("questions", "asked.csv", "--max-steps", "1") == 0
    asked = yaml.safe_load(Path("asked_questions.yaml").read_text())
    assert asked["model"]["task"]["class_path"] == "OpenAnswer"
    quiz = [
        {"image": path, "question": "what?", "choices": list(COLOURS), "answer": c} for path, c in pictures()
    ]
    Path("quiz.jsonl").write_text("\n".join(map(json.dumps, quiz)))
    choice = config_of("questions", "quiz.jsonl")
    assert choice["model"]["task"]["class_path"] == "MultipleChoice"
    assert choice["data"]["init_args"]["train"]["init_args"]["source"]["init_args"]["choices"] == "choices"


def scenes(folder: str, count: int) -> None:
    """Draw a box on each picture; write COCO's JSON and masks of it."""
    images, notes = [], []
    for place in ("images", "masks"):
        Path(folder, place).mkdir(parents=True)
    for number in range(count):
        picture, mask = Image.new("RGB", (80, 64), (90, 90, 90)), Image.new("L", (80, 64))
        corner = 5 + number
        for image, fill in ((picture, (250, 20, 20)), (mask, 255)):
            ImageDraw.Draw(image).rectangle((corner, 10, corner + 20, 40), fill=fill)
        picture.save(Path(folder, "images", f"{number}.jpg"))
        mask.save(Path(folder, "masks", f"{number}_mask.png"))
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 80, "height": 64})
        notes.append({"id": number, "image_id": number, "category_id": 3, "bbox": [corner, 10, 20, 30]})
    content = {"images": images, "annotations": notes, "categories": [{"id": 3, "name": "box"}]}
    Path(folder, "annotations").mkdir()
    Path(folder, "annotations", "instances.json").write_text(json.dumps(content))


def test_detection_and_segmentation() -> None:
    scenes("scenes", 5)
    assert finetune("detection", "scenes", "--max-steps", "1", "--batch-size", "2") == 0
    config = yaml.safe_load(Path("scenes_detection.yaml").read_text())
    assert config["model"]["task"]["init_args"]["masks"] is False
    assert (
        config["data"]["init_args"]["train"]["init_args"]["source"]["init_args"]["images"] == "scenes/images"
    )
    assert finetune("segmentation", "scenes", "--max-steps", "1", "--batch-size", "2") == 0
    masks = yaml.safe_load(Path("scenes_segmentation.yaml").read_text())
    source = masks["data"]["init_args"]["train"]["init_args"]["source"]["init_args"]
    assert source["classes"] == ["background", "object"]
    assert source["class_values"] == [0, 255]
    assert source["mask_suffix"] == "_mask.png"
    assert masks["model"]["backbone"]["init_args"]["adapters"]["image"]["init_args"]["image_size"] == 64
    assert cli(["predict", "runs/scenes_segmentation", "scenes/images", "--device", "cpu"]) == 0


def _empty() -> None:
    Path("pets").mkdir()


def _one_class() -> None:
    for number in range(5):
        draw(Path("pets/red", f"{number}.png"), "red", number)


def _broken() -> None:
    class_folders("pets", 3)
    Path("pets/blue/1.png").write_bytes(b"no picture")


def _other_class() -> None:
    class_folders("pets/train", 3)
    draw(Path("pets/val/pink/0.png"), "red", 0)


def _nothing_in_a_class() -> None:
    class_folders("pets", 3)
    Path("pets/pink").mkdir()


def _table() -> None:
    pictures()
    write_table("pets.csv", [{"image": "photos/0.png", "when": 3, "where": "here"}])


def _sounds() -> None:
    Path("pets/bee").mkdir(parents=True)
    soundfile.write("pets/bee/a.wav", np.ones(400) / 2, 16000)


@pytest.mark.parametrize(
    ("prepare", "words", "message"),
    [
        (_empty, ["classification", "pets"], "pets holds neither a folder for each class nor a table"),
        (_one_class, ["classification", "pets"], "one class (red) is nothing to learn"),
        (_broken, ["classification", "pets"], "pets/blue/1.png: unreadable image"),
        (
            _other_class,
            ["classification", "pets"],
            "folder 'pink' is none of the 3 classes",
        ),
        (_nothing_in_a_class, ["classification", "pets"], "no training rows of pink"),
        (
            _table,
            ["classification", "pets.csv"],
            "pets.csv: no column of class or classes; name yours (--columns",
        ),
        (_table, ["classification", "pets.csv", "--columns", "class=wher"], "did you mean 'where'?"),
        (_table, ["retrieval", "pets.csv"], "a pair takes two modalities of model (text, image, audio)"),
        (_table, ["grounding", "pets.csv"], "pets.csv: no column of text"),
        (_table, ["questions", "pets.csv"], "pets.csv: no column of text"),
        (_empty, ["detection", "pets"], "pets: no annotations; give COCO's JSON file, YOLO's data.yaml"),
        (_empty, ["segmentation", "pets"], "pets holds no folders of images"),
        (_empty, ["classify", "pets"], "no task 'classify'; did you mean 'classification'?"),
        (_empty, ["classification", "cats"], "--data cats: no such file or folder"),
        (
            _one_class,
            ["classification", "pets", "--val", "0.7"],
            "--val 0.7: the share of validation must be above",
        ),
        (
            _one_class,
            ["classification", "pets", "--val", "there"],
            "--val there: neither a file or folder nor a share",
        ),
        (_one_class, ["classification", "pets", "--epochs", "0"], "--epochs 0 must be at least 1"),
        (_one_class, ["classification", "pets", "--init", "nowhere"], "no folder nowhere"),
        (
            lambda: class_folders("pets", 3),
            ["classification", "pets", "--trainer.max_stepz", "1"],
            "max_stepz",
        ),
        (
            lambda: class_folders("pets", 3),
            ["classification", "pets", "--size", "50"],
            "size=50 must be a multiple",
        ),
    ],
)
def test_mistakes_are_named(
    prepare: Callable[[], None], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare()
    assert finetune(*words, "--config-only") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_model_without_the_modality(capsys: pytest.CaptureFixture[str]) -> None:
    backbone = Backbone(
        {"image": partial(ImageAdapter, image_size=32, position_side=2)},
        TransformerConfig("debug"),
        DecoderConfig(0),
    )
    OnePeace(backbone, {"image": ImageProcessor(32)}).save_pretrained("model")
    _sounds()
    assert finetune("classification", "pets") == 2
    assert "pets: audio, which model does not read; it reads image" in capsys.readouterr().err


def test_broken_rows_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    _broken()
    config = config_of("classification", "pets", "--on-error", "skip")
    assert config["data"]["init_args"]["on_error"] == "skip"
    assert "unreadable image" in capsys.readouterr().out
