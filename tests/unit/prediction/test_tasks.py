"""Results of every task are those of ``predict`` with a data config."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from onepeace_pl import Predictor
from onepeace_pl.cli import main as cli
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.source import Row
from onepeace_pl.dense import BlockFeaturePyramid, SimpleFeaturePyramid
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import AnySizeProcessor, ImageProcessor
from onepeace_pl.results import (
    AnswerResult,
    BoxResult,
    ChoiceResult,
    DetectionResult,
    SegmentationResult,
    StatementResult,
)
from onepeace_pl.tasks.detection import CascadeRCNN, Detection
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.question_answering import MultipleChoice, OpenAnswer
from onepeace_pl.tasks.segmentation import Segmentation, UPerNet
from onepeace_pl.tasks.visual_reasoning import VisualReasoning

from .runs import KINDS, make_run, trainer_predictions, write_images, write_sounds

TEXTS = ["a red circle", "two birds sing", "rain on a roof"]
ANY_SIZE = {"image": AnySizeProcessor()}
UPERNET = {"width": 32, "dropout": 0.0}
CASCADE = {
    "convolutions": 1, "width": 32, "proposals": 20, "samples": 16, "rpn_convolutions": 1, "anchor_scale": 4.0,
    "score_threshold": 0.0, "max_detections": 5,
}  # fmt: skip


def spec(kind: type, options: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": options or {}}


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    return write_images(tmp_path / "pictures")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_grounding(run: Path, images: list[str]) -> None:
    squash = {"image": ImageProcessor(32, fit="squash", train_crop=None, train_flip=0.0)}
    make_run(run, Grounding, classes=(), processors=squash)
    predictor = Predictor.from_pretrained(run, "cpu")
    found = predictor(image=images, text=TEXTS)
    rows = []
    for image, text in zip(images, TEXTS, strict=True):
        with Image.open(image) as picture:
            rows.append(Row(image, {"text": text, "image": image}, {"image_size": picture.size}))
    expected = trainer_predictions(run, Grounding, rows, (), batch_size=32, processors=squash)
    assert [each.to_dict() for each in found] == expected
    assert isinstance(found[0], BoxResult)
    assert max(found[0].box) > 1, "in pixels"
    mappings = [{"image": i, "text": t} for i, t in zip(images, TEXTS, strict=True)]
    assert predictor(mappings) == found
    assert [each.id for each in predictor(image=images, text="one phrase for all")] == images
    assert found[0].plot().width >= 320


def test_open_answers(run: Path, images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    make_run(run, OpenAnswer)
    found = Predictor.from_pretrained(run, "cpu")(image=images[0], text="what is it?")
    assert isinstance(found, AnswerResult)
    (expected,) = trainer_predictions(
        run, OpenAnswer, [Row(images[0], {"text": "what is it?", "image": images[0]})]
    )
    assert found.to_dict() == expected
    capsys.readouterr()
    assert cli(["predict", str(run), images[0], "--text", "what is it?", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == f"{images[0]}: {found.answer}\n"
    assert cli(["predict", str(run), images[0], "--device", "cpu"]) == 2
    assert "there is no text; add --text TEXT" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"OpenAnswer reads text, image: name them, text=..., image=..."):
        Predictor.from_pretrained(run, "cpu")(images[0])
    with pytest.raises(UserError, match="2 of text, 3 of image: give lists of one length"):
        Predictor.from_pretrained(run, "cpu")(image=images, text=TEXTS[:2])


def test_choices(run: Path, tmp_path: Path) -> None:
    (sound,) = write_sounds(tmp_path / "sounds", 1)
    make_run(run, MultipleChoice, classes=())
    found = Predictor.from_pretrained(run, "cpu")(audio=sound, text=tuple(TEXTS))
    assert isinstance(found, ChoiceResult)
    rows = [Row(sound, {"text": tuple(TEXTS), "audio": sound})]
    assert [found.to_dict()] == trainer_predictions(run, MultipleChoice, rows, ())
    assert found.text == TEXTS[found.answer]


def test_statements_about_two_images(run: Path, images: list[str]) -> None:
    make_run(run, VisualReasoning, classes=())
    predictor = Predictor.from_pretrained(run, "cpu")
    pair = (images[0], images[1])
    found = predictor(image=[pair, pair[::-1]], text=TEXTS[0])
    assert isinstance(found[0], StatementResult)
    rows = [Row("+".join(each), {"text": TEXTS[0], "image": each}) for each in (pair, pair[::-1])]
    assert [each.to_dict() for each in found] == trainer_predictions(run, VisualReasoning, rows, ())
    assert (
        cli(["predict", str(run), *pair, "--text", TEXTS[0], "--to", str(run / "o.jsonl"), "--device", "cpu"])
        == 0
    )
    assert json.loads((run / "o.jsonl").read_text()) == found[0].to_dict()
    with pytest.raises(UserError, match="1 values of image a row, and the task reads 2"):
        predictor(image=images[0], text=TEXTS[0])


def test_segmentation(run: Path, images: list[str]) -> None:
    make = partial(Segmentation, neck=BlockFeaturePyramid, head=partial(UPerNet, **UPERNET))
    options = {"neck": spec(BlockFeaturePyramid), "head": spec(UPerNet, UPERNET)}
    transform = JointTransform(evaluation=[v2.Resize([48, 64])])
    make_run(run, Segmentation, options, processors=ANY_SIZE, make=make, transform=transform.to_config())
    found = Predictor.from_pretrained(run, "cpu")(images)
    rows = [Row(image, {"image": image}) for image in images]
    expected = trainer_predictions(run, make, rows, transform=transform, batch_size=32, processors=ANY_SIZE)
    assert [each.to_dict() for each in found] == expected
    for image, each in zip(images, found, strict=True):
        assert isinstance(each, SegmentationResult)
        with Image.open(image) as picture:
            assert each.mask.shape[::-1] == picture.size
        named = {KINDS[number] for number in np.unique(each.mask)}
        assert named == set(each.shares)
    written = sorted((run / "predictions/files-masks").iterdir())
    with Image.open(written[0]) as mask:
        assert any(np.array_equal(np.asarray(mask), each.mask) for each in found)
    assert found[0].plot().size == found[0].mask.shape[::-1]


def test_detection(run: Path, images: list[str]) -> None:
    neck = partial(SimpleFeaturePyramid, channels=32)
    make = partial(Detection, neck=neck, head=partial(CascadeRCNN, **CASCADE))
    options = {"neck": spec(SimpleFeaturePyramid, {"channels": 32}), "head": spec(CascadeRCNN, CASCADE)}
    make_run(run, Detection, options, processors=ANY_SIZE, make=make, transform=None)
    found = Predictor.from_pretrained(run, "cpu")(images)
    rows = [Row(image, {"image": image}) for image in images]
    expected = trainer_predictions(
        run, make, rows, transform=JointTransform(), batch_size=32, processors=ANY_SIZE
    )
    assert [each.to_dict() for each in found] == expected
    first = found[0]
    assert isinstance(first, DetectionResult)
    assert len(first.labels) == len(first.scores) == len(first.boxes) == 5
    with Image.open(images[0]) as picture:
        assert first.masks is not None
        assert first.masks.shape == (5, picture.height, picture.width)
    middle = float(np.sort(first.scores)[2])
    assert len(first.select(threshold=middle - 1e-7).labels) == 3
    first.plot()
    written = str(run / "out.json")
    assert cli(["predict", str(run), *images, "--to", written, "--device", "cpu"]) == 0
    coco = json.loads(Path(written).read_text())
    assert coco == json.loads((run / "predictions/files.coco.json").read_text())
    table = str(run / "out.csv")
    assert cli(["predict", str(run), images[0], "--to", table, "--device", "cpu"]) == 0
    assert Path(table).read_text().startswith("id,class,score,x0,y0,x1,y1\n")
    assert len(Path(table).read_text().splitlines()) == 6


def test_a_folder_that_does_not_say_how_images_are_resized(run: Path, images: list[str]) -> None:
    make = partial(Segmentation, neck=BlockFeaturePyramid, head=partial(UPerNet, **UPERNET))
    options = {"neck": spec(BlockFeaturePyramid), "head": spec(UPerNet, UPERNET)}
    make_run(run, Segmentation, options, processors=ANY_SIZE, make=make)
    with pytest.raises(UserError, match="does not say how images are resized"):
        Predictor.from_pretrained(run, "cpu")
    assert Predictor.from_pretrained(run, "cpu", transform=JointTransform())(images[0]).shares
