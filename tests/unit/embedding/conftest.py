"""A few pictures, sounds and texts, the small model that embeds them, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onepeace_pl.cli import main as cli
from tests.unit.search.conftest import model

__all__ = ["model"]  # the fixture

CPU = ("--device", "cpu", "--batch-size", "4", "--part-size", "8")


def embed(*words: str) -> int:
    """Call the verb with the model, in small parts."""
    return cli(["embed", "m", *words, *CPU])


def start(*words: str, **how: Any) -> subprocess.Popen[bytes]:
    """Start the verb in a process of its own."""
    command = [sys.executable, "-m", "onepeace_pl", "embed", "m", *words, "--device", "cpu"]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **how)


def rows(folder: str) -> list[dict[str, Any]]:
    """Return the rows of a folder of vectors, as any reader of Parquet sees them."""
    import pyarrow.parquet as pq

    return pq.read_table(folder).to_pylist()


def vectors(folder: str) -> torch.Tensor:
    return torch.tensor(np.array([row["vector"] for row in rows(folder)], dtype=np.float32))


def content(folder: str) -> dict[str, bytes]:
    """Return the bytes of all files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def relative(folder: str, names: Sequence[str] = ("id", "modality")) -> list[tuple[str, ...]]:
    here = f"{Path.cwd()}/"
    return [tuple(row[name].removeprefix(here) for name in names) for row in rows(folder)]
