"""A signal to one process of several, or to all: all end, with one line and a whole checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.distributed.test_resume import ROOT, quiet_port

TOY = ROOT / "tests/unit/cli"
# as a user's own program; the launcher starts it once more for each process
PROGRAM = """
import os, sys
sys.path[:0] = [{toy!r}, {root!r}]
from lightning import Callback
from toy import ToyExperiment
from onepeace_pl.cli import lightning, main

class Strikes(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step == 3 and str(trainer.global_rank) in os.environ["STRUCK"]:
            os.kill(os.getpid(), int(os.environ["NUMBER"]))

def callbacks(*given, kept=lightning.defaults.progress_callbacks):
    return [*kept(*given), Strikes()]

lightning.defaults.progress_callbacks = callbacks
lightning.default_experiment = lambda: ToyExperiment
sys.exit(main(sys.argv[1:]))
"""
LAST = Path("runs/classify/checkpoints/last.ckpt")


def fit(folder: Path, number: signal.Signals, struck: str) -> tuple[int, str]:
    (folder / "program.py").write_text(PROGRAM.format(toy=str(TOY), root=str(ROOT)))
    words = [
        "--trainer.max_steps",
        "60",
        "--trainer.devices",
        "2",
        "--trainer.strategy",
        "ddp_find_unused_parameters_true",
    ]
    words += [
        "--trainer.accelerator",
        "cpu",
        "--trainer.callbacks+=onepeace_pl.callbacks.last.LastCheckpoint",
    ]
    words += ["--trainer.callbacks.every_n_steps", "1", "--trainer.use_distributed_sampler", "false"]
    settings = {"OMP_NUM_THREADS": "1", "MASTER_PORT": str(quiet_port()), "MASTER_ADDR": "127.0.0.1"}
    process = subprocess.Popen(
        [
            sys.executable,
            "program.py",
            "fit",
            "-c",
            str(TOY / "toy_configs/experiment/classify.yaml"),
            *words,
        ],
        cwd=folder,
        env=os.environ | settings | {"STRUCK": struck, "NUMBER": str(int(number))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=500)  # ends when no process is left
    except subprocess.TimeoutExpired:
        pytest.fail("a process hangs")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert "Traceback" not in output, output
    return process.returncode, output


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("struck", ["0", "1", "01"])
def test_sigterm_stops_all_processes(struck: str, tmp_path: Path) -> None:
    code, output = fit(tmp_path, signal.SIGTERM, struck)
    assert code == 1, output
    assert output.count("go on with: fit --ckpt_path") == 1
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] in (3, 4)
    assert {path.name for path in (tmp_path / LAST).parent.iterdir()} <= {"best.ckpt", "last.ckpt"}


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("struck", ["0", "1"])
def test_a_killed_process_ends_the_others_in_one_line(struck: str, tmp_path: Path) -> None:
    code, output = fit(tmp_path, signal.SIGKILL, struck)
    assert code != 0
    said = [line for line in output.splitlines() if "has lost another one" in line]
    assert len(said) == 1, output
    assert f"process {1 - int(struck)} of this run" in said[0]
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] in (2, 3)
