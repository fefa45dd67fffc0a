"""Processes that read different modalities neither hang nor average wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from onepeace_pl.backbone import Backbone, Features, ForwardPass, from_preset
from onepeace_pl.backbone.parallel import shard
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.modalities.masking import build_mask
from tests.two_processes import run_in_processes

READ = (("text", "image"), ("text", "audio"))  # by process


class Loss(torch.nn.Module):
    """Something that depends on every embedding and on what students restore."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone: Backbone = from_preset("debug")
        self.backbone.apply_stage(self.backbone.modalities)

    def forward(self, rank: int) -> Tensor:
        generator = torch.Generator().manual_seed(rank)
        values = {
            "text": torch.randint(4, 500, (2, 6), generator=generator),
            "image": torch.randn(2, 3, 64, 64, generator=generator),
            "audio": torch.randn(2, 4000, generator=generator),
        }
        names = READ[rank]
        hidden = torch.zeros(2, 7, dtype=torch.bool)
        hidden[:, 2:4] = True
        streams = [ForwardPass((name,)) for name in names] + [
            ForwardPass(("text",), {"text": build_mask(hidden)})
        ]
        inputs = {name: ModalityInput(values[name]) for name in names}
        features: list[Features]
        features, scale = self.backbone(inputs, streams)
        shared = sum(f.embeddings[name][:, 0].sum() for f, name in zip(features, names, strict=False))
        return scale * (shared + features[-1].reconstructed["text"].square().mean())


def _vectors(backbone: Backbone, rank: int) -> dict[str, Tensor]:
    """Vectors of a validation: pictures and texts in one process, texts alone in the other."""
    generator = torch.Generator().manual_seed(9 + rank)
    inputs = {"text": ModalityInput(torch.randint(4, 500, (2, 6), generator=generator))}
    if rank == 0:
        inputs["image"] = ModalityInput(torch.randn(2, 3, 64, 64, generator=generator))
    backbone.eval()
    with torch.no_grad():
        vectors = backbone.embed(inputs)
    backbone.train()
    return vectors


def _compare(sharded: bool, expected: dict[str, Tensor], embedded: list[dict[str, Tensor]]) -> None:
    rank, loss = dist.get_rank(), Loss()
    step: torch.nn.Module = loss
    if sharded:
        shard(loss.backbone, init_device_mesh("cpu", (2,)))
    else:
        step = torch.nn.parallel.DistributedDataParallel(loss)
    for _ in range(2):  # a validation between two steps; what a step leaves unused, DDP tells in the next
        loss.zero_grad()
        vectors = _vectors(loss.backbone, rank)
        assert vectors.keys() == embedded[rank].keys()
        for name, vector in vectors.items():
            torch.testing.assert_close(vector, embedded[rank][name], msg=name)
        step(rank).backward()
    found = {name: p.grad for name, p in loss.backbone.named_parameters() if p.grad is not None}
    assert expected.keys() <= found.keys()
    for name, gradient in found.items():
        full = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
        # what neither has read (the decoder's way in for pictures) has a gradient of zero
        wanted = expected.get(name, torch.zeros_like(full))
        assert (full - wanted).abs().max().item() <= 1e-5 * max(1.0, wanted.abs().max().item()), name


@pytest.mark.distributed
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_gradients_are_those_of_one_process(sharded: bool, tmp_path: Path) -> None:
    alone = Loss()
    ((alone(0) + alone(1)) / 2).backward()
    expected = {name: p.grad for name, p in alone.backbone.named_parameters() if p.grad is not None}
    assert {"encoder.adapters.image.cls_token", "encoder.adapters.audio.cls_token"} <= expected.keys()
    embedded = [_vectors(alone.backbone, rank) for rank in range(2)]
    run_in_processes(_compare, tmp_path, sharded, expected, embedded)
