"""A sharded checkpoint of two processes is gone on with through the command line.

It takes a minute: ``uv run pytest -m slow tests/distributed``. ``tests/resume`` has what one process can show.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
SMALL = [
    *(
        "--trainer",
        str(ROOT / "configs/parts/trainer/fsdp.yaml"),
        "--trainer.accelerator",
        "cpu",
        "--trainer.devices",
        "2",
    ),
    *("--trainer.precision", "32-true", "--trainer.max_steps", "4", "--trainer.limit_val_batches", "0"),
    *(
        "--trainer.gradient_clip_val",
        "1.0",
        "--data.size",
        "32",
        "--data.batch_size",
        "4",
        "--data.num_workers",
        "0",
    ),
]
MIDDLE = """trainer:
  callbacks+:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {dirpath: middle, filename: "{step}", every_n_train_steps: 2, save_top_k: -1}
"""


def quiet_port() -> int:
    """Return a free port below those that the system gives to connections, such as another test's."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port between 20000 and 30000")


def fit(folder: Path, *words: str, seconds: float = 900) -> str:
    """Run ``fit`` in processes of its own; all of them end with this function.

    Where they do not end in time, each says first where it stands.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(quiet_port())}
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
    config = ["--config", str(ROOT / "configs/quickstart.yaml"), *words]
    process = subprocess.Popen(
        [sys.executable, "-m", "onepeace_pl", "fit", *config],
        cwd=folder,
        env={**os.environ, **meeting, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        output, _ = process.communicate()
        pytest.fail(f"not ended after {seconds:.0f} s:\n{output}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output[-3000:]
    return output


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.slow
@pytest.mark.distributed
def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    (tmp_path / "middle.yaml").write_text(MIDDLE)
    fit(tmp_path, *SMALL, "--config", "middle.yaml", "--run", "whole")
    middle = tmp_path / "middle" / "step=2.ckpt"
    assert middle.is_dir()  # written by both processes, a part each
    fit(tmp_path, *SMALL, "--run", "rest", "--ckpt_path", str(middle))
    whole, rest = (weights(tmp_path / f"runs/{name}/model") for name in ("whole", "rest"))
    assert whole.keys() == rest.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(rest[name], tensor, rtol=0, atol=1e-6, msg=name)
