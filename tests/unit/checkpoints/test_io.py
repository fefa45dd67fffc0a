"""Checkpoints: where no more can be written, the older one stays and the error is the system's own."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from onepeace_pl.checkpoints.io import AtomicCheckpointIO

resource = pytest.importorskip("resource", reason="limits of POSIX")


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may be larger than 100 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, small_files: None) -> None:
    path, io = tmp_path / "checkpoints" / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"global_step": 1}, path)
    with pytest.raises(OSError, match="File too large") as caught:
        io.save_checkpoint({"global_step": 2, "weights": torch.randn(100_000)}, path)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(path)
    assert io.load_checkpoint(path, weights_only=True) == {"global_step": 1}
    assert list(path.parent.iterdir()) == [path]


def test_it_is_a_plugin_of_any_trainer(tmp_path: Path) -> None:
    trainer = Trainer(
        default_root_dir=tmp_path,
        plugins=AtomicCheckpointIO(),
        fast_dev_run=1,
        logger=False,
        accelerator="cpu",
        enable_model_summary=False,
    )
    trainer.fit(BoringModel())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    assert torch.load(tmp_path / "a.ckpt", weights_only=True)["global_step"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["a.ckpt"]
