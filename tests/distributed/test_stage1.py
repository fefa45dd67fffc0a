"""The paper's stage 1 in two processes: sharded, blocks recomputed, stochastic depth, bfloat16; as when replicated."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from onepeace_pl.backbone.parallel import shard
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.modalities.masking import RandomTokens
from onepeace_pl.optim import AdamW, build_optimizer
from onepeace_pl.tasks.pretraining import Pretraining, Student
from tests.distributed.test_sharding import ROWS, Whole, batch
from tests.two_processes import run_in_processes
from tests.unit.samples import make

STEPS = 3


def model(**options: Any) -> Whole:
    backbone = make(("text", "image"), noise=0.05, drop_path=0.4, activation_checkpointing="full", **options)
    students = {
        "alone": Student({"image": RandomTokens(0.5)}, {"image": 1.0}, "own"),
        "both": Student(dict.fromkeys(("text", "image"), RandomTokens(0.4)), {"text": 0.5, "image": 0.5}),
    }
    task = Pretraining(backbone, DataInfo(), ("text", "image"), students)
    task.apply_stage(backbone)
    return Whole(backbone, task).train()


def train(sharded: bool, **options: Any) -> tuple[list[float], dict[str, Tensor]]:
    """Return losses of this rank, and weights after some updates."""
    rank, whole = dist.get_rank(), model(**options)
    step: torch.nn.Module = whole
    if sharded:
        shard(whole.backbone, init_device_mesh("cpu", (2,)))
    else:
        step = torch.nn.parallel.DistributedDataParallel(whole)
    optimizer = build_optimizer(whole, partial(AdamW, lr=1e-3))
    mine, losses = batch(1, slice(rank * ROWS, (rank + 1) * ROWS)), []
    for number in range(STEPS):
        torch.manual_seed(10 * number + rank)  # branches are dropped alike
        with torch.autocast("cpu", torch.bfloat16):
            loss = step(mine).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in whole.parameters() if p.requires_grad], 3.0)
        optimizer.step()
        losses.append(loss.item())
    weights = {name: p.detach() for name, p in whole.backbone.named_parameters()}
    return losses, {n: p.full_tensor() if hasattr(p, "full_tensor") else p for n, p in weights.items()}


def compare() -> None:
    losses, weights = train(sharded=False)
    sharded_losses, sharded_weights = train(sharded=True)
    assert len(set(losses)) == STEPS
    assert sharded_losses == pytest.approx(losses, rel=1e-3)
    start = dict(model().backbone.named_parameters())
    moved = sum((weights[name] - tensor).square().sum() for name, tensor in start.items()).sqrt()
    apart = sum((weights[name] - tensor).square().sum() for name, tensor in sharded_weights.items()).sqrt()
    assert moved > 0
    assert apart <= 0.01 * moved


@pytest.mark.distributed
def test_sharded_is_replicated(tmp_path: Path) -> None:
    run_in_processes(compare, tmp_path)
