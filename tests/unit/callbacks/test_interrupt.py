"""A run that a signal stops goes on from the checkpoint that it leaves."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import onepeace_pl
from onepeace_pl.cli import main

TOY = Path(__file__).parents[1] / "cli"
CONFIG = str(TOY / "toy_configs/experiment/classify.yaml")
PROGRAM = """
import sys
from toy import ToyExperiment
from onepeace_pl.cli import lightning, main
lightning.default_experiment = lambda: ToyExperiment
sys.exit(main(sys.argv[1:]))
"""
RUN = Path("runs/classify")
LAST = RUN / "checkpoints/last.ckpt"


@pytest.fixture(autouse=True)
def _toy_in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TOY)
    monkeypatch.chdir(tmp_path)
    from toy import ToyExperiment

    monkeypatch.setattr("onepeace_pl.cli.lightning.default_experiment", lambda: ToyExperiment)


def steps():
    path = RUN / "metrics.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]


def goes_on_from(stopped_at):
    """Resume for two steps; nothing is done twice and nothing is left out."""
    assert torch.load(LAST, weights_only=True)["global_step"] == stopped_at
    assert main(["fit", "--ckpt_path", str(LAST), "--trust", f"--trainer.max_steps={stopped_at + 2}"]) == 0
    assert steps() == list(range(stopped_at + 2))
    assert torch.load(LAST, weights_only=True)["global_step"] == stopped_at + 2
    assert {path.name for path in LAST.parent.iterdir()} == {"best.ckpt", "last.ckpt"}


def test_sigterm_stops_a_process_that_can_go_on(tmp_path):
    folders = [TOY, Path(onepeace_pl.__file__).parents[1]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}
    words = ["fit", "-c", CONFIG, "--trainer.max_steps=1000", "--model.seconds_per_step=0.1"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        while len(steps()) < 2 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "go on with: fit --ckpt_path" in output
    goes_on_from(steps()[-1] + 1)


@pytest.fixture(autouse=True)
def _handler_of_python():
    """Lightning leaves SIGINT ignored after a KeyboardInterrupt, be it here or in an earlier test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fit_until():
    """Run a fit that a callback strikes; return its exit code."""

    def call(number, *words, step=2, twice=False, validating=False):
        options = f"number: {int(number)}, step: {step}, twice: {twice}, validating: {validating}"
        callback = f"{{class_path: toy.Strike, init_args: {{{options}}}}}"
        Path("strike.yaml").write_text(f"trainer: {{max_steps: 100, callbacks: [{callback}]}}")
        return main(["fit", "-c", CONFIG, "-c", "strike.yaml", *words])

    return call


def test_ctrl_c_ends_the_step_first(fit_until):
    before = signal.getsignal(signal.SIGINT)
    assert fit_until(signal.SIGINT) == 1
    assert signal.getsignal(signal.SIGINT) is before
    goes_on_from(2)


def test_second_ctrl_c_stops_at_once(fit_until):
    assert fit_until(signal.SIGINT, twice=True) == 1
    assert not LAST.exists()


def test_in_the_middle_of_a_validation(fit_until):
    assert fit_until(signal.SIGTERM, "--trainer.val_check_interval=2", validating=True) == 1
    goes_on_from(2)


def test_before_the_first_step_nothing_is_lost(fit_until):
    assert fit_until(signal.SIGTERM, step=0, validating=True) == 1
    assert not LAST.exists()
