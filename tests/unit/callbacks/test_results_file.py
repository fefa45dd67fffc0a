"""``results.json``: what a run measured beside what it is compared with, and only when it has come to its end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest

from onepeace_pl.callbacks.last import LastCheckpoint
from onepeace_pl.callbacks.results_file import ResultsFile, references
from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.metrics import LabelledResult
from tests.unit.callbacks.test_page import composed
from tests.unit.callbacks.test_report import Data, Toy


class Judged(Toy):
    """Has a task with a metric of its own, that gets worse and then better."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.task = SimpleNamespace(monitor=("score", "max"))
        self.scores = iter([0.3, 0.1, 0.2] * 2)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("val/score", next(self.scores))
        scalars = self.results["toy"].scalars().items()
        self.log_dict({f"val/toy/{name}": value for name, value in scalars})

    def on_test_epoch_end(self) -> None:
        self.log("test/score", 0.7)


def fit(folder: Path, module: L.LightningModule, **options: Any) -> L.Trainer:
    trainer = L.Trainer(
        max_epochs=3,
        num_sanity_val_steps=0,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[ResultsFile(), LastCheckpoint()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, Data(), **options)
    return trainer


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_last_evaluation_beside_the_best_and_chance(tmp_path: Path) -> None:
    fit(tmp_path, Judged())
    found = read(tmp_path / "results.json")
    assert (found["verb"], found["steps"], found["partial"]) == ("fit", 12, False)
    monitor = found["monitor"]
    assert (monitor["name"], monitor["mode"]) == ("val/score", "max")
    assert (monitor["value"], monitor["best"]) == pytest.approx((0.2, 0.3))
    assert found["metrics"]["val/score"] == pytest.approx(0.2)
    assert not [name for name in found["metrics"] if name.startswith("train")]
    compared = found["references"]
    assert compared["val/toy/audio->image/R@1"] == {"chance": 1 / 16, "optimum": 0.9}
    assert compared["val/toy/image->audio/R@1"] == {"chance": 1 / 16}
    assert "val/score" not in compared
    direction = "val/toy/audio->image"
    assert found["counts"][direction] == {"queries": 16, "candidates": 16}
    bounds = found["intervals"][f"{direction}/R@1"]
    assert 0 <= bounds["low"] <= found["metrics"][f"{direction}/R@1"] <= bounds["high"] <= 1
    assert found["metrics"][f"{direction}/median_rank"] >= 1
    assert found["seconds"] > 0


class Composed(Judged):
    """Retrieves with the sum of two made-up vectors better than with their joint one."""

    def on_validation_epoch_end(self) -> None:
        self.results = {"hard": composed()}
        self.log_dict({f"val/hard/{name}": value for name, value in self.results["hard"].scalars().items()})


def test_composed_queries_have_every_vector_with_its_interval(tmp_path: Path) -> None:
    fit(tmp_path, Composed())
    found = read(tmp_path / "results.json")
    vectors = found["composed"]["val/hard/audio+text->image"]
    assert list(vectors) == ["audio_alone", "text_alone", "sum", "joint", "joint-sum"]
    assert vectors["joint"] == {"R@1": {"value": 0.5, "low": 0.0, "high": 1.0}}
    assert vectors["joint-sum"] == {"R@1": {"value": -0.5, "low": -1.0, "high": 0.0}}
    direction = "val/hard/audio+text->image"
    assert found["intervals"][f"{direction}/R@1"] == {"low": 0.0, "high": 1.0}
    assert found["intervals"][f"{direction}/sum/R@1"] == {"low": 1.0, "high": 1.0}
    assert found["metrics"][f"{direction}/sum/R@1"] == 1.0
    assert found["references"][f"{direction}/sum/R@1"] == {"chance": 0.25, "optimum": 1.0}
    assert found["references"][f"{direction}/text_alone/R@1"] == {"chance": 0.25, "optimum": 0.5}
    assert found["references"]["val/hard/mean_recall"] == {"chance": 0.25, "optimum": 1.0}


def test_no_file_after_a_failure_and_all_results_after_resuming_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(tmp_path, Judged(stop_at=6))
    assert not (tmp_path / "results.json").exists()
    fit(tmp_path, Judged())
    first = read(tmp_path / "results.json")
    (tmp_path / "results.json").unlink()
    fit(tmp_path, Judged(), ckpt_path=tmp_path / "checkpoints/last.ckpt")  # nothing is left to train
    again = read(tmp_path / "results.json")
    assert again.pop("seconds") > 0 < first.pop("seconds")
    assert again == first


def test_other_verbs_leave_files_of_their_own(tmp_path: Path) -> None:
    trainer = fit(tmp_path, Judged())
    before = (tmp_path / "results.json").read_text()
    trainer.test(Judged(), Data(), verbose=False)
    trainer.validate(Judged(), Data(), verbose=False)
    assert (tmp_path / "results.json").read_text() == before
    assert read(tmp_path / "results-test.json")["monitor"]["name"] == "test/score"
    assert read(tmp_path / "results-validate.json")["metrics"]["val/score"] == pytest.approx(0.3)


def labelled(name: str, **references: Reference) -> LabelledResult:
    return LabelledResult(name, {}, 4, references)


def test_results_of_any_kind_say_what_they_are_compared_with() -> None:
    results = {
        "one": labelled("one", accuracy=Reference(0.1, 0.3, 1.0)),
        "one/more": labelled("one/more", accuracy=Reference(0.3, 0.5)),
        "other": labelled("other"),
    }
    metrics = ["val/one/accuracy", "val/one/more/accuracy", "val/accuracy", "val/loss"]
    two = {name: results[name] for name in ("one", "one/more")}
    assert references(two, "val/", metrics) == {
        "val/one/accuracy": {"chance": 0.1, "baseline": 0.3, "optimum": 1.0},
        "val/one/more/accuracy": {"chance": 0.3, "baseline": 0.5},
        "val/accuracy": {"chance": pytest.approx(0.2), "baseline": pytest.approx(0.4)},
    }
    assert "val/accuracy" not in references(results, "val/", metrics)
