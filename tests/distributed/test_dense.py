"""Dense tasks in two processes: data-parallel training steps, and a sharded backbone is refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from onepeace_pl.backbone import from_preset
from onepeace_pl.backbone.parallel import shard
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.dense import BlockFeaturePyramid, SimpleFeaturePyramid
from onepeace_pl.modalities import AnySizeProcessor
from onepeace_pl.tasks.detection import CascadeRCNN, Detection
from onepeace_pl.tasks.segmentation import Segmentation, UPerNet
from onepeace_pl.training.task import TaskOutput
from onepeace_pl.triworld.datamodule import TriWorldTaskDataModule
from tests.two_processes import run_in_processes

TASKS = {
    "mask": partial(
        Segmentation, neck=partial(BlockFeaturePyramid, window_size=2), head=partial(UPerNet, width=16)
    ),
    "objects": partial(
        Detection,
        neck=partial(SimpleFeaturePyramid, channels=16, window_size=2, global_blocks=[1], rel_pos_size=4),
        head=partial(CascadeRCNN, convolutions=1, width=16, proposals=16, samples=16),
    ),
}


class Whole(torch.nn.Module):
    """Backbone and task under one forward, as a strategy wraps them."""

    def __init__(self, label: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.data = TriWorldTaskDataModule(
            label,  # type: ignore[arg-type]
            size=4,
            image_size=64,
            processors={"image": AnySizeProcessor()},
            transform=JointTransform(),
            batch_size=2,
        )
        self.backbone = from_preset("debug", ("image",), decoder=False)
        self.task = TASKS[label](self.backbone, self.data.data_info)
        self.data.connect(self.task.needs)
        self.task.apply_stage(self.backbone)

    def forward(self, batch: Batch) -> TaskOutput:
        return self.task(self.backbone, batch)  # type: ignore[no-any-return]


def work() -> None:
    for label in TASKS:
        train(label)
    refuse()


def train(label: str) -> None:
    model = Whole(label)
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    batches = list(model.data.train_dataloader())
    for _ in range(3):  # the second waits for ever, or raises, where a parameter got no gradient in the first
        loss = wrapped(batches[dist.get_rank() % len(batches)]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for parameter in trained:
        first = parameter.detach().clone()
        dist.broadcast(first, 0)
        assert torch.equal(first, parameter)


def refuse() -> None:
    model = Whole("mask")
    (batch, *_) = model.data.train_dataloader()
    shard(model.backbone, init_device_mesh("cpu", (2,)))
    with pytest.raises(ValueError, match="dense tasks run blocks piece by piece"):
        model(batch)


def test_two_processes(tmp_path: Path) -> None:
    run_in_processes(work, tmp_path)
