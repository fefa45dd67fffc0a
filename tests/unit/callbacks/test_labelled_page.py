"""The report on labelled rows of a run: tables by class, pictures beside it and in TensorBoard."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from onepeace_pl.callbacks.class_plots import draw_confusions, draw_precision_recall
from onepeace_pl.callbacks.report import Report
from onepeace_pl.callbacks.results_file import ResultsFile
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.training.experiment import Experiment

from ..samples import make
from ..training.test_class_weights import Imbalanced


def run(folder: Path, task: Any) -> dict[str, Any]:
    """Fit for two steps with two validation sets, and return the results."""
    sets = {"held": Imbalanced(), "out/side": Imbalanced()}
    data = SourceDataModule({"text": TextProcessor()}, Imbalanced(), sets, batch_size=4)
    module = Experiment(partial(make, ("text",), decoder=False, noise=0.0), task)
    trainer = L.Trainer(
        max_steps=2,
        val_check_interval=2,
        num_sanity_val_steps=1,
        accelerator="cpu",
        default_root_dir=folder,
        logger=TensorBoardLogger(folder, name="", version=""),
        callbacks=[Report(), ResultsFile()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=data)
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def board_of(folder: Path) -> EventAccumulator:
    board = EventAccumulator(str(folder))
    board.Reload()
    return board


def test_one_class_a_row(tmp_path: Path) -> None:
    results = run(tmp_path, partial(Classification, modality="text", top=1))
    page = (tmp_path / "report.md").read_text()
    for name in ("held", "out-side"):
        for kind in ("confusion", "examples"):
            assert f"({kind}-{name}.png)" in page
            assert np.asarray(Image.open(tmp_path / f"{kind}-{name}.png")).std() > 5
    assert "| class | support (rows) | precision | recall | F1 |" in page
    assert "| bell | 8 |" in page
    assert "| gong | 0 |" in page
    classes = results["classes"]["val/out/side"]
    assert classes["bell"]["support"] == 8
    assert classes["gong"] == {"support": 0} or "recall" not in classes["gong"]
    recalls = [each["recall"]["value"] for each in classes.values() if "recall" in each]
    assert results["metrics"]["val/held/balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert results["metrics"]["val/balanced_accuracy"] == pytest.approx(np.mean(recalls))
    interval = results["intervals"]["val/held/accuracy"]
    assert interval["low"] <= results["metrics"]["val/held/accuracy"] <= interval["high"]
    assert results["references"]["val/held/balanced_accuracy"] == {"chance": 0.25, "baseline": 1 / 3}
    board = board_of(tmp_path)
    assert {"confusion/held", "confusion/out/side", "examples/held"} <= set(board.Tags()["images"])
    assert "classes/held/text_summary" in board.Tags()["tensors"]
    assert [event.step for event in board.Images("confusion/held")] == [2], "nothing of the sanity check"


def test_several_classes_a_row(tmp_path: Path) -> None:
    results = run(tmp_path, partial(MultiLabelClassification, modality="text"))
    page = (tmp_path / "report.md").read_text()
    assert "| class | support (rows) | AP | precision | recall | F1 |" in page
    assert "(precision-recall-held.png)" in page
    assert "In brackets: 95 % bootstrap intervals over rows." in page
    assert not (tmp_path / "confusion-held.png").exists()
    classes = results["classes"]["val/held"]
    precisions = [each["AP"]["value"] for each in classes.values() if "AP" in each]
    assert results["metrics"]["val/held/mAP"] == pytest.approx(np.mean(precisions), abs=1e-6)
    assert "precision-recall/held" in board_of(tmp_path).Tags()["images"]


def many(classes: int) -> ByClass:
    generator = np.random.default_rng(0)
    true = generator.integers(0, classes, 2000)
    predicted = np.where(generator.random(2000) < 0.5, true, (true * 7) % classes)
    return ByClass.of_indices(predicted, true, [f"the class of number {n}" for n in range(classes)])


@pytest.mark.parametrize("classes", [2, 16, 25, 26, 1000])
def test_confusions_fit_a_page_whatever_the_number_of_classes(classes: int) -> None:
    picture = draw_confusions(many(classes), "set")
    assert picture.std() > 5
    assert max(picture.shape[:2]) < 1600


def test_curves_are_drawn_for_few_and_many_classes() -> None:
    generator = np.random.default_rng(0)
    for classes in (2, 30):
        true = generator.random((100, classes)) < 0.3
        scores = (0.4 * true + 0.6 * generator.random(true.shape)).astype(np.float32)
        found = ByClass.of_marks(scores, true, [f"class {n}" for n in range(classes)])
        assert draw_precision_recall(found, "set").std() > 5
