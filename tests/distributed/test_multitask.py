"""Several tasks a step in two processes give the gradients of one, under DDP and under FSDP2."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from onepeace_pl.backbone import Backbone, ForwardPass, from_preset
from onepeace_pl.backbone.parallel import shard, shard_heads
from onepeace_pl.data.batches import Batch, MultiTaskBatch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.training.multitask import MultiTask
from onepeace_pl.training.task import Reads, Task, TaskOutput, head_modules
from tests.two_processes import run_in_processes
from tests.unit.samples import Unmeasured


class Length(Task):
    """Reads words and pictures to their vectors; the other tasks stop before those."""

    monitor = ("length", "max")

    def __init__(self, backbone: Backbone, data_info: DataInfo) -> None:
        super().__init__(Reads(("text", "image")))

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        features, scale = backbone(batch.inputs, [ForwardPass((name,)) for name in self.reads.modalities])
        sums = [
            f.embeddings[name][:, 0].mean() for f, name in zip(features, self.reads.modalities, strict=True)
        ]
        return TaskOutput(scale * torch.stack(sums).sum())

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Unmeasured:
        return Unmeasured()


class Whole(torch.nn.Module):
    """Backbone and tasks under one forward, as a strategy wraps them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone: Backbone = from_preset("debug")
        data_info = {"sounds": DataInfo(classes=("a", "b")), "words": DataInfo(classes=("c", "d", "e"))}
        tasks = {
            "sounds": partial(Classification, modality="audio"),
            "words": partial(Classification, modality="text"),
            "length": Length,
        }
        self.task = MultiTask(
            self.backbone, DataInfo(tasks=data_info | {"length": DataInfo()}), tasks, {"words": 0.5}
        )
        self.task.apply_stage(self.backbone)

    def forward(self, rank: int) -> Tensor:
        loss: Tensor = self.task(self.backbone, batch(rank)).loss
        return loss


def batch(rank: int) -> MultiTaskBatch:
    generator = torch.Generator().manual_seed(rank)

    def one(targets: int, **values: Tensor) -> Batch:
        inputs = {name: ModalityInput(value) for name, value in values.items()}
        drawn = torch.randint(targets, (2,), generator=generator)
        return Batch(["0", "1"], torch.arange(2), 0, inputs, {}, targets=drawn)

    text = partial(torch.randint, 4, 500, (2, 6), generator=generator)
    tasks = {
        "sounds": one(2, audio=torch.randn(2, 4000, generator=generator)),
        "words": one(3, text=text()),
        "length": one(2, text=text(), image=torch.randn(2, 3, 64, 64, generator=generator)),
    }
    return MultiTaskBatch.of(tasks, 0)


def _compare(expected: dict[str, Tensor]) -> None:
    rank = dist.get_rank()
    for sharded in (False, True):
        whole = Whole()
        step: torch.nn.Module = whole
        if sharded:
            mesh = init_device_mesh("cpu", (2,))
            shard(whole.backbone, mesh)
            shard_heads(head_modules(whole.task), mesh)
        else:
            step = torch.nn.parallel.DistributedDataParallel(whole)
        for _ in range(2):  # what a step leaves unused, DDP tells in the next
            whole.zero_grad()
            step(rank).backward()
        for name, parameter in whole.named_parameters():
            assert parameter.requires_grad == (name in expected), name
            if name in expected:
                gradient = parameter.grad
                full = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
                bound = 1e-5 * max(1.0, expected[name].abs().max().item())
                assert (full - expected[name]).abs().max().item() <= bound, name
        # every weight is sharded, or none
        torch.nn.utils.clip_grad_norm_([p for p in whole.parameters() if p.requires_grad], 1.0)


@pytest.mark.distributed
def test_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    alone = Whole()
    ((alone(0) + alone(1)) / 2).backward()
    expected = {name: p.grad for name, p in alone.named_parameters() if p.grad is not None}
    assert {
        "backbone.encoder.projections.image.weight",
        "task.tasks.sounds.head.classifier.0.weight",
    } <= expected.keys()
    assert not [name for name in expected if name.startswith("backbone.encoder.projections.audio")]
    run_in_processes(_compare, tmp_path, expected)
