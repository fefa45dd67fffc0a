"""Where a run cannot write, it says so in one line and leaves what was there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onepeace_pl.cli import main

RUN = Path("runs/classify")
HERE = Path(__file__).parent
# a file may have so many bytes, fewer than a checkpoint has: what a full disk does, without one
LIMITED = """
import resource, sys
from toy import ToyExperiment
from onepeace_pl.cli import lightning, main
lightning.default_experiment = lambda: ToyExperiment
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
sys.exit(main(sys.argv[1:]))
"""


def test_no_room_for_a_checkpoint(classify):
    assert main(["fit", "-c", str(classify)]) == 0
    before = {path.name: path.read_bytes() for path in (RUN / "checkpoints").iterdir()}
    assert len(before["last.ckpt"]) > 20_000
    path = os.pathsep.join((str(HERE), str(HERE.parents[2])))
    words = ["fit", "-c", str(classify), "--ckpt_path=last", "--trainer.max_steps=6"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *words],
        check=False,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stderr.splitlines() if "error: " in line]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert "file too large: runs/classify/checkpoints/" in errors[0]
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in (RUN / "checkpoints").iterdir()} == before


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder here that even root may not write to")
def test_a_folder_that_may_not_be_written(classify, capsys):
    assert main(["fit", "-c", str(classify), "--run=/sys/kernel/run"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.partition(": ")[2].startswith(
        ("operation not permitted", "permission denied", "read-only file system")
    )
    assert "choose another place" in line


def test_a_folder_inside_a_file(classify, capsys):
    Path("file").write_text("")
    assert main(["fit", "-c", str(classify), "--run=file/run"]) == 2
    assert "error: not a directory: " in capsys.readouterr().err
