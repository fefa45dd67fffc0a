"""Random draws as functions of the run's seed and a position, so that no generator state is saved."""

from __future__ import annotations

import os
import random

import numpy as np
import torch

DEFAULT_SEED = 3407
"""The original's."""


def run_seed() -> int:
    """Return the seed given to ``seed_everything`` (the command line always gives one), else 3407."""
    return int(os.environ.get("PL_GLOBAL_SEED", DEFAULT_SEED))


def seed_draws(*key: int) -> None:
    """Seed the global generators of torch (of every device), NumPy and Python from non-negative integers.

    Equal keys give equal draws, and keys that differ in any number independent ones. No device is waited for.
    """
    low, high, numpy, python = np.random.SeedSequence(key).generate_state(4).tolist()
    torch.manual_seed(high << 32 | low)
    np.random.seed(numpy)
    random.seed(python)
