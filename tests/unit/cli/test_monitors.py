"""A mistyped monitor is named before anything trains."""

from pathlib import Path

import pytest
import torch
from toy import ToyExperiment

from onepeace_pl.cli import main


@pytest.fixture
def steps(monkeypatch):
    """Count updates."""
    seen = []
    monkeypatch.setattr(ToyExperiment, "on_train_batch_end", lambda self, *_: seen.append(1))
    return seen


def stopping(monitor):
    return (
        f"{{class_path: EarlyStopping, init_args: {{monitor: {monitor}, check_on_train_epoch_end: false}}}}"
    )


@pytest.mark.parametrize(
    ("callback", "line"),
    [
        (
            stopping("val/los"),
            "EarlyStopping monitors 'val/los', which is not logged; did you mean 'val/loss'?",
        ),
        (stopping("valid/loss"), "did you mean 'val/loss'?"),
        (
            stopping("val/accuracy"),
            "EarlyStopping monitors 'val/accuracy', which is not logged; there are val/loss",
        ),
        (
            "{class_path: ModelCheckpoint, init_args: {monitor: val/lss, dirpath: kept}}",
            "ModelCheckpoint monitors 'val/lss', which is not logged; did you mean 'val/loss'?",
        ),
    ],
)
def test_before_training(classify, capsys, steps, callback, line):
    words = [
        "fit",
        "-c",
        str(classify),
        f"--trainer.callbacks+={callback}",
        "--trainer.num_sanity_val_steps=0",
    ]
    assert main(words) == 2
    assert line in capsys.readouterr().err
    assert not steps


def test_a_training_metric_after_one_step(classify, capsys, steps):
    assert main(["fit", "-c", str(classify), f"--trainer.callbacks+={stopping('train/los')}"]) == 2
    assert "monitors 'train/los', which is not logged; did you mean 'train/loss'?" in capsys.readouterr().err
    assert len(steps) <= 1


def test_the_tasks_own(classify, capsys, monkeypatch):
    monkeypatch.setattr("toy.Task.monitor", ("losss", "min"))
    assert main(["fit", "-c", str(classify)]) == 2
    assert "ModelCheckpoint monitors 'val/losss'" in capsys.readouterr().err


def test_right_names_train(classify):
    callbacks = [
        stopping("val/loss"),
        "{class_path: ModelCheckpoint, init_args: {monitor: step, dirpath: kept}}",
    ]
    words = [f"--trainer.callbacks+={callback}" for callback in callbacks]
    assert main(["fit", "-c", str(classify), *words, "--trainer.num_sanity_val_steps=0"]) == 0
    assert torch.load(Path("runs/classify/checkpoints/last.ckpt"), weights_only=True)["global_step"] == 4
