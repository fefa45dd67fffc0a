"""Two processes give the losses and gradients of one, under DDP and under FSDP2, in both stages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from onepeace_pl.backbone import Backbone, Extend, VisionLanguage, from_preset
from onepeace_pl.backbone.parallel import shard
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.modalities.masking import RandomTokens
from onepeace_pl.optim import AdamW
from onepeace_pl.tasks.pretraining import MaskSampler, Pretraining, Student
from onepeace_pl.training.task import TaskOutput
from tests.two_processes import run_in_processes

ROWS = 4  # a process
STAGES = {1: ("text", "image"), 2: ("text", "audio")}


class Whole(torch.nn.Module):
    """Backbone and task under one forward, as a strategy wraps them."""

    def __init__(self, backbone: Backbone, task: Pretraining) -> None:
        super().__init__()
        self.backbone, self.task = backbone, task

    def forward(self, batch: Batch) -> TaskOutput:
        return self.task(self.backbone, batch)


def make(stage: int, students: bool = True, gradient: str = "exact") -> Whole:
    torch.manual_seed(0)
    backbone = from_preset("debug")
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # so that every parameter matters
    torch.nn.init.constant_(backbone.logit_scale, 2.0)
    backbone.stage = VisionLanguage() if stage == 1 else Extend("audio")
    pair = STAGES[stage]
    made = {
        "alone": Student({pair[1]: RandomTokens(0.5)}, {pair[1]: 1.0}, "own" if stage == 1 else "joint"),
        "both": Student(dict.fromkeys(pair, RandomTokens(0.4)), dict.fromkeys(pair, 0.5)),
    }
    task = Pretraining(backbone, DataInfo(), pair, made if students else {}, gradient=gradient)
    backbone.apply_stage(task.reads.modalities)
    return Whole(backbone, task).train()


def batch(stage: int, rows: slice) -> Batch:
    generator = torch.Generator().manual_seed(stage)
    count = 2 * ROWS
    text = torch.randint(4, 500, (count, 9), generator=generator)
    text[:, -1] = 2
    # the processes' rows differ in padding: one has some, the other has none
    text[1, 5:] = torch.tensor([2, 1, 1, 1])
    padding = torch.cat([torch.zeros(count, 1, dtype=torch.bool), text == 1], 1)[rows]
    inputs = {"text": ModalityInput(text[rows], padding if padding.any() else None)}
    if stage == 1:
        inputs["image"] = ModalityInput(torch.randn(count, 3, 64, 64, generator=generator)[rows])
        other = 16
    else:
        inputs["audio"] = ModalityInput(torch.randn(count, 4000, generator=generator)[rows])
        other = 12
    size = len(inputs["text"].values)
    lengths = {"text": (text[rows] != 1).sum(1), STAGES[stage][1]: torch.full((size,), other)}
    starts = {"text": [np.ones(int(n), dtype=np.bool_) for n in lengths["text"]]}
    made = Batch([str(i) for i in range(size)], torch.arange(count)[rows], 0, inputs, lengths, starts)
    transform = make(stage).task.needs.batch_transform
    assert transform is not None
    sampler = transform(0)
    assert isinstance(sampler, MaskSampler)
    return sampler(made)


def one_process(stage: int, gradient: str) -> tuple[list[float], dict[str, Tensor]]:
    """Alignment over all rows, denoising over each process's rows, averaged."""
    whole, aligned = make(stage), make(stage, students=False, gradient=gradient)
    aligned.backbone = whole.backbone
    align = aligned(batch(stage, slice(0, 2 * ROWS))).loss
    whole.task.alignment = 0.0
    parts = [whole(batch(stage, slice(r * ROWS, (r + 1) * ROWS))).loss for r in range(2)]
    (align + sum(parts) / 2).backward()
    gradients = {n: p.grad for n, p in whole.backbone.named_parameters() if p.grad is not None}
    return [align.item(), *(p.item() for p in parts)], gradients


def compare(
    stage: int, sharded: bool, gradient: str, losses: list[float], expected: dict[str, Tensor]
) -> None:
    rank = dist.get_rank()
    whole = make(stage, gradient=gradient)
    for block in whole.backbone.blocks:
        block.checkpointing = "selective" if stage == 1 else "full"  # one process keeps all activations
    mine = batch(stage, slice(rank * ROWS, (rank + 1) * ROWS))
    if sharded:
        shard(whole.backbone, init_device_mesh("cpu", (2,)))
        step = whole(mine)
    else:
        replica = torch.nn.parallel.DistributedDataParallel(whole)  # kept: its hooks reduce gradients
        step = replica(mine)
    step.loss.backward()
    total = step.loss.detach().clone()
    dist.all_reduce(total)
    assert total.item() / 2 == pytest.approx(losses[0] + sum(losses[1:]) / 2, rel=1e-5)
    found = {n: p.grad for n, p in whole.backbone.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    for name, gradient_ in found.items():
        full = gradient_.full_tensor() if hasattr(gradient_, "full_tensor") else gradient_
        bound = 1e-5 * max(1.0, expected[name].abs().max().item())
        assert (full - expected[name]).abs().max().item() <= bound, name
    parameters = [p for p in whole.backbone.parameters() if p.requires_grad]
    norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    theirs = torch.linalg.vector_norm(torch.stack([g.norm() for g in expected.values()]))
    assert norm.item() == pytest.approx(theirs.item(), rel=1e-5)


def check_units() -> None:
    """While a block computes, its weights are whole and those of every other block lie in shards."""
    whole = make(1)
    backbone = shard(whole.backbone, init_device_mesh("cpu", (2,)))
    blocks = [*backbone.encoder.transformer.blocks, *backbone.decoder.transformer.blocks]
    seen = []

    def whole_ones(module: torch.nn.Module, *_: object) -> None:
        gathered = [b for b in blocks if not any(isinstance(p, DTensor) for p in b.parameters())]
        seen.append(gathered == [module])

    for block in blocks:
        block.register_forward_pre_hook(whole_ones)
    whole(batch(1, slice(0, ROWS)))
    assert seen == [True] * len(blocks)


def check_epsilon() -> None:
    """AdamW with the reference implementation's epsilon moves shards as it moves whole weights."""
    moved = []
    for sharded in (False, True):
        torch.manual_seed(0)
        layer = torch.nn.Linear(6, 4)
        if sharded:
            fully_shard(layer, mesh=init_device_mesh("cpu", (2,)))
        optimizer = AdamW(layer.parameters(), lr=0.1, eps=1e-2, eps_before_bias_correction=True)
        for step in range(3):
            optimizer.zero_grad()
            layer(torch.linspace(-1, step, 6)).square().sum().mul(1e-3).backward()
            optimizer.step()
        moved.append([p.full_tensor() if sharded else p for p in layer.parameters()])
    for alone, shared in zip(*moved, strict=True):
        assert (alone - shared).abs().max() <= 1e-6


def check_bounds() -> None:
    """A sharded scale is put back within its bounds."""
    backbone = shard(make(1).backbone, init_device_mesh("cpu", (2,)))
    for value, bound in ((9.0, math.log(100)), (-1.0, 0.0), (3.0, 3.0)):
        with torch.no_grad():
            backbone.logit_scale.fill_(value)
        backbone.clamp_logit_scale()
        assert backbone.logit_scale.full_tensor().item() == pytest.approx(bound)


def _all(stage: int, alone: dict[str, tuple[list[float], dict[str, Tensor]]]) -> None:
    for sharded in (False, True):
        for gradient, expected in alone.items():
            compare(stage, sharded, gradient, *expected)
    if stage == 1:
        check_bounds()
        check_units()
        check_epsilon()


@pytest.mark.distributed
@pytest.mark.parametrize("stage", [1, 2])
def test_two_processes_equal_one(stage: int, tmp_path: Path) -> None:
    alone = {gradient: one_process(stage, gradient) for gradient in ("exact", "local")}
    run_in_processes(_all, tmp_path, stage, alone)
