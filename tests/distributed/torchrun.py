"""A Trainer in the processes of :mod:`tests.two_processes`, as if torchrun had started them."""

import os
from pathlib import Path
from typing import Any

import lightning as L
import torch.distributed as dist

from onepeace_pl.checkpoints.io import AtomicCheckpointIO


def make_trainer(folder: Path, strategy: Any, **options: Any) -> L.Trainer:
    """Make a trainer of all processes; they have met already, so that neither address nor port matters."""
    rank, size = str(dist.get_rank()), str(dist.get_world_size())
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": "0", "WORLD_SIZE": size}
    os.environ |= {"LOCAL_WORLD_SIZE": size, "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29999"}
    return L.Trainer(
        accelerator="cpu", devices=dist.get_world_size(), strategy=strategy, default_root_dir=folder, logger=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        plugins=AtomicCheckpointIO(), num_sanity_val_steps=0, **options,
    )  # fmt: skip
