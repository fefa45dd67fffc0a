import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, sys, time
from pathlib import Path
from torch.utils.data import DataLoader
from onepeace_pl.utils.parent import end_with_parent

class Slow:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        Path(sys.argv[1], "worker").write_text(str(os.getpid()))
        time.sleep(30)
        Path(sys.argv[1], "finished").touch()
        return index

next(iter(DataLoader(Slow(), num_workers=1, worker_init_fn=end_with_parent)))
"""


def test_a_worker_ends_with_its_killed_parent_before_its_item_is_finished(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)])
    started = tmp_path / "worker"
    while not started.is_file() or not started.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    worker = int(started.read_text())
    while _runs(worker):
        time.sleep(0.05)
    assert not (tmp_path / "finished").exists()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
