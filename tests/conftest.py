"""Shared fixtures: one thread, the reference numbers, and the folder of small real data."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process of a test compiles the package

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

torch.set_num_threads(1)


def shared_folder() -> Path | None:
    """Return the folder named by ``ONEPEACE_PL_SHARED``, else ``../shared`` beside the checkout, else None."""
    named = os.environ.get("ONEPEACE_PL_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the folder of real files: set ONEPEACE_PL_SHARED or put it at ../shared")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The reference numbers: those beside their tests, or a folder of that layout in ``ONEPEACE_PL_GOLDEN``."""
    folder = Path(os.environ.get("ONEPEACE_PL_GOLDEN") or Path(__file__).parent / "parity/golden")
    if not (folder / "config.json").is_file():  # a failure, not a skip
        raise FileNotFoundError(f"no reference numbers in {folder}: set ONEPEACE_PL_GOLDEN, or unset it")
    return folder


@pytest.fixture(autouse=True)
def _process_state_is_restored() -> Iterator[None]:
    """Lightning leaves its process group behind, perhaps of other devices than the next one wants, and variables.

    A process started by a later test would find ``LOCAL_RANK`` and wait for ever for the others of its group. With
    another number of threads (``bench --threads``) sums differ in their last bit.
    """
    before, threads = dict(os.environ), torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
