"""On a GPU: the same losses as on the CPU, every strategy of one device, every task, vectors of a saved model."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from onepeace_pl.cli import main
from onepeace_pl.hub import OnePeace

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.timeout(600),
]

CONFIGS = Path(__file__).parents[2] / "configs"
FULL = ("--trainer.precision", "32-true")
CPU = ("--trainer.accelerator", "cpu", *FULL)
DEVICE = ("--trainer.accelerator", "gpu", "--trainer.devices", "1")
SMALL = ("--trainer.max_steps", "4", "--trainer.val_check_interval", "4", "--trainer.log_every_n_steps", "1",
         "--trainer.enable_progress_bar", "false", "--data.size", "64", "--data.batch_size", "16",
         "--data.num_workers", "0")  # fmt: skip
PRETRAINING = (*SMALL, "--data.novel_size", "0", "--data.gallery_size", "32")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fit(config: str, run: str, *words: str) -> list[float]:
    """Train a few updates in ``runs/run`` and return the loss of each."""
    assert main(["fit", "--config", str(CONFIGS / config), "--run", f"runs/{run}", *words]) == 0
    with open(f"runs/{run}/metrics.csv") as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")]


@pytest.fixture
def start() -> tuple[str, str]:
    """Weights of the CPU to start from: each device has random numbers of its own."""
    fit("quickstart.yaml", "start", *PRETRAINING, *CPU)
    return ("--model.init_from", "runs/start/model")


@pytest.mark.parametrize("config", ["quickstart.yaml", "quickstart_audio.yaml"])
def test_losses_are_those_of_the_cpu(config: str, start: tuple[str, str]) -> None:
    """Four updates: forward, backward, clipping and optimizer. What stage 2 adds is random, so it starts twice."""
    if config == "quickstart_audio.yaml":
        fit(config, "heard", *PRETRAINING, *start, *CPU)
        start = ("--model.init_from", "runs/heard/model")
    cpu = fit(config, "cpu", *PRETRAINING, *start, *CPU)
    gpu = fit(config, "gpu", *PRETRAINING, *start, *DEVICE, *FULL)
    assert len(cpu) == 4
    assert gpu == pytest.approx(cpu, rel=2e-4)


@pytest.mark.parametrize("strategy", ["gpu", "ddp", "fsdp", "fsdp1"])
def test_strategies_in_bfloat16(strategy: str, start: tuple[str, str]) -> None:
    start = (*PRETRAINING, *start, "--trainer.gradient_clip_val", "null")  # fsdp1 cannot clip by norm
    exact = fit("quickstart.yaml", "exact", *start, *DEVICE, *FULL)
    trainer = ("--trainer", str(CONFIGS / f"parts/trainer/{strategy}.yaml"), "--trainer.devices", "1")
    rounded = fit("quickstart.yaml", "rounded", *trainer, *start)
    assert rounded == pytest.approx(exact, rel=2e-2)
    longer = ("--trainer.max_steps", "6", "--ckpt_path", "last")
    assert np.isfinite(fit("quickstart.yaml", "rounded", *trainer, *start, *longer)).all()


UNTRAINED = ("base", "several", "zero_shot_image", "zero_shot_audio")
TASKS = sorted(path for path in (CONFIGS / "triworld").glob("*.yaml") if path.stem not in UNTRAINED)


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_tasks_in_bfloat16(path: Path) -> None:
    words = (*SMALL, *DEVICE, "--trainer.precision", "bf16-mixed", "--model.init_from", "null")
    losses = fit(f"triworld/{path.name}", path.stem, *words)
    assert len(losses) == 4
    assert np.isfinite(losses).all()


def test_several_tasks() -> None:
    words = (
        "--trainer.max_steps",
        "4",
        "--trainer.log_every_n_steps",
        "1",
        "--trainer.enable_progress_bar",
        "false",
    )
    losses = fit("triworld/several.yaml", "several", *words, *DEVICE, "--model.init_from", "null")
    assert np.isfinite(losses).all()


def test_vectors_of_a_saved_model() -> None:
    fit("quickstart.yaml", "saved", *PRETRAINING, *DEVICE)
    vectors = [
        OnePeace.from_pretrained("runs/saved/model", device=device).encode(text=["a red disk", "a blue ring"])
        for device in ("cpu", "cuda")
    ]
    assert torch.allclose(vectors[0], vectors[1].cpu(), atol=1e-4)
