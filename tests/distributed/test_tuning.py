"""Stages that train little, in two processes: they learn what one process learns, and leave the rest as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from onepeace_pl.backbone import Backbone, ForwardPass, Last, LoRAStage, from_preset
from onepeace_pl.backbone.parallel import shard
from onepeace_pl.checkpoints.loading import load_weights
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.optim import build_optimizer
from tests.two_processes import run_in_processes

NAMES, ROWS, STEPS = ("text", "image"), 2, 3


class Tuned(nn.Module):
    """A backbone in a stage, started from a base, and a head; the mean of rows is the loss."""

    def __init__(self, stage: Last | LoRAStage, base: str, sharded: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.backbone: Backbone = from_preset("debug", (*NAMES, "audio"), decoder=False)
        if isinstance(stage, LoRAStage):
            self.backbone.adapt(stage)
        self.backbone.stage = stage
        report = load_weights(self.backbone, base)
        self.backbone.apply_stage(NAMES)
        self.given = report.omitted(self.backbone)
        self.head = nn.Linear(self.backbone.config.width, 3)
        if sharded:
            shard(self.backbone, init_device_mesh("cpu", (2,)))

    def forward(self, rows: slice) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        text = torch.randint(4, 500, (2 * ROWS, 6), generator=generator)
        image = torch.randn(2 * ROWS, 3, 64, 64, generator=generator)
        inputs = {"text": ModalityInput(text[rows]), "image": ModalityInput(image[rows])}
        features, scale = self.backbone(inputs, [ForwardPass((name,)) for name in NAMES])
        text, image = (f.embeddings[name] for f, name in zip(features, NAMES, strict=True))
        apart = (text - image).square().sum(1).mean() * scale
        return apart + self.head(text + image).square().mean()  # type: ignore[no-any-return]

    def train_on(self, rows: slice, processes: int = 1, ddp: bool = False) -> dict[str, Tensor]:
        """Take some steps; return what the base does not give, gathered."""
        model = nn.parallel.DistributedDataParallel(self) if ddp else self
        optimizer = build_optimizer(self, lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.5), 0.8)
        for _ in range(STEPS):
            optimizer.zero_grad()
            model(rows).backward()
            for parameter in self.head.parameters() if processes > 1 and not ddp else ():
                dist.all_reduce(parameter.grad)
                parameter.grad /= processes  # heads are not sharded
            optimizer.step()
        state = {n: t.full_tensor() if hasattr(t, "full_tensor") else t for n, t in self.state_dict().items()}
        return {n: t.detach() for n, t in state.items() if n.removeprefix("backbone.") not in self.given}


def _alone(stage: Last | LoRAStage, base: str) -> dict[str, Tensor]:
    tuned = Tuned(stage, base)
    before = {name: tensor.clone() for name, tensor in tuned.state_dict().items()}
    learnt = tuned.train_on(slice(0, 2 * ROWS))
    moved = {name for name, tensor in tuned.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name, parameter in tuned.named_parameters() if parameter.requires_grad}
    assert moved <= learnt.keys()
    assert not [name for name in moved if ".audio." in name]  # which nobody reads
    return learnt


def _compare(base: str, alone: list[tuple[Last | LoRAStage, dict[str, Tensor]]]) -> None:
    mine = slice(dist.get_rank() * ROWS, (dist.get_rank() + 1) * ROWS)
    for stage, expected in alone:
        for sharded in (False, True):
            own = Tuned(stage, base, sharded).train_on(mine, 2, ddp=not sharded)
            assert own.keys() == expected.keys()
            for name, tensor in own.items():
                assert (tensor - expected[name]).abs().max().item() <= 1e-5, (stage, sharded, name)


@pytest.mark.distributed
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = from_preset("debug", (*NAMES, "audio"), decoder=False)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # so that every parameter matters
        backbone.logit_scale.fill_(2.0)
    base = str(tmp_path / "base.safetensors")
    save_file(backbone.state_dict(), base)
    alone = [(stage, _alone(stage, base)) for stage in (Last(1), LoRAStage(2, alpha=4.0))]
    run_in_processes(_compare, tmp_path, base, alone)
