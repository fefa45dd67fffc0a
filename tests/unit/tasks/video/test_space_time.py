"""Adapters for space and time: nothing at first, then the formulas of the specification."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.tasks.video import VideoClassification, space_time
from onepeace_pl.tasks.video.bottleneck import Bottleneck
from onepeace_pl.tasks.video.space_time import SpaceTime

from ...samples import field, make
from . import formulas

FRAMES, CLASSES = 3, 4


def clips(name: str = "image", count: int = 2) -> Batch:
    tokens = {"image": 16, "touch": 5}[name]
    inputs = field(name, range(count * FRAMES), lengths=[tokens] * count * FRAMES)
    return Batch(
        [f"clip {i}" for i in range(count)],
        torch.arange(count),
        0,
        {name: inputs},
        {},
        labels=[{} for _ in range(count)],
        targets=torch.arange(count) + 1,
    )


def build(
    shake: float = 0.2, modality: str = "image", **options: Any
) -> tuple[Backbone, VideoClassification]:
    backbone = make((modality,), decoder=False, **{"stage": "frozen", "layer_scale": 0.5} | options)
    torch.manual_seed(1)
    data_info = DataInfo(classes=tuple("abcd"))
    task = VideoClassification(backbone, data_info, FRAMES, modality, dropout=0.0)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(torch.randn_like(parameter) * shake)
    backbone.apply_stage(task.reads.modalities, task.reads.reconstructs, task.reads.stop_after)
    return backbone, task


def gradients(*modules: nn.Module) -> dict[str, Tensor | None]:
    return {
        f"{type(module).__name__}.{name}": p.grad
        for module in modules
        for name, p in module.named_parameters()
        if p.requires_grad
    }


def assert_close(found: Tensor | None, expected: Tensor) -> None:
    """Equal to 3e-5 of the largest number."""
    assert found is not None
    assert bool(expected.any())
    largest = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5 * largest)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias_per_layer": True},
        {"position_bias": False},
        {"stage": "vision_language"},
        {"activation_checkpointing": "full"},
    ],
    ids=str,
)
def test_outputs_and_gradients_are_those_of_the_specification(options: dict[str, Any]) -> None:
    backbone, task = build(**options)
    batch = clips()
    found = task.outputs(backbone, batch)
    task.loss(found, batch.targets).backward()
    ours = gradients(backbone, task)
    backbone.zero_grad()
    task.zero_grad()
    expected = formulas.logits(backbone, task, batch.inputs["image"])
    nn.functional.cross_entropy(expected, batch.targets).backward()
    theirs = gradients(backbone, task)
    assert_close(found, expected)
    assert all(name.startswith("Video") for name in ours) == (options.get("stage") is None)
    for name, gradient in theirs.items():
        assert gradient is not None, name
        assert_close(ours[name], gradient)


def test_everything_of_the_frozen_recipe_matters() -> None:
    backbone, task = build()
    batch = clips()
    task(backbone, batch).loss.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in task.parameters())
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("modality", ["image", "touch"])
@pytest.mark.parametrize(
    "options", [{}, {"layer_scale": 0.0}, {"share_attention": False}, {"share_feed_forward": True}], ids=str
)
def test_a_fresh_task_reads_each_frame_by_itself_to_the_bit(modality: str, options: dict[str, Any]) -> None:
    backbone, task = build(0.0, modality, **options)
    batch = clips(modality)
    with torch.no_grad():
        found = task.space_time(backbone.encoder, batch.inputs[modality], modality)
        (features,), _ = backbone(batch.inputs, [ForwardPass((modality,), stop_after="blocks")])
    assert torch.equal(found, features.tokens[modality])


def test_frames_see_each_other_once_the_adapters_have_learnt() -> None:
    backbone, task = build()
    batch = clips()
    values = batch.inputs["image"].values.unflatten(0, (-1, FRAMES))
    batch.inputs["image"] = ModalityInput(values.flip(1).flatten(0, 1))
    there, back = task.outputs(backbone, clips()), task.outputs(backbone, batch)
    assert (there - back).abs().max() > 1e-3
    # and clips never do
    torch.testing.assert_close(task.outputs(backbone, clips(count=1)), there[:1])


def test_what_stochastic_depth_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, task = build(drop_path=0.5)
    drawn: list[tuple[tuple[int, ...], float]] = []

    def none_kept(x: Tensor, rate: float) -> Tensor:
        drawn.append((tuple(x.shape), rate))
        return x.new_zeros(len(x), 1, 1)

    monkeypatch.setattr(space_time, "keep_factor", none_kept)
    last = backbone.encoder.transformer.blocks[-1]
    layer = task.space_time.layers[-1]
    x = torch.randn(2 * FRAMES, 5, backbone.config.width)
    found = layer(last, x, "image", FRAMES, None)
    w = formulas.weights(last, "")
    u = formulas.norm(x, w, "feed_forward_norm")
    expected = x + w["feed_forward_scale.gamma"] * formulas.feed_forward(u, w)
    torch.testing.assert_close(found, expected)
    assert drawn == [((2 * FRAMES, 5, backbone.config.width), 0.5)] * 3  # a draw for each frame
    layer.eval()
    assert not torch.equal(layer(last, x, "image", FRAMES, None), found)
    assert len(drawn) == 3


def test_autocast_is_near() -> None:
    backbone, task = build()
    batch = clips()
    whole = task(backbone, batch).loss
    with torch.autocast("cpu", torch.bfloat16):
        half = task(backbone, batch).loss
    half.backward()
    assert half.item() == pytest.approx(whole.item(), abs=0.1)
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in task.parameters())


def test_size_of_the_released_recipe() -> None:
    with torch.device("meta"):
        made = SpaceTime(1536, 40, 16)
    assert sum(p.numel() for p in made.layers.parameters()) == 141_788_160
    assert made.temporal_embedding.shape == (1, 16, 1536)


@pytest.mark.parametrize("skip", [False, True])
def test_a_fresh_bottleneck_changes_nothing(skip: bool) -> None:
    x = torch.randn(2, 3, 8)
    assert torch.equal(Bottleneck(8, skip)(x), x if skip else torch.zeros_like(x))


def test_padded_frames_are_refused() -> None:
    backbone, task = build(modality="touch")
    with pytest.raises(ValueError, match="differ in length"):
        task.space_time(backbone.encoder, field("touch"), "touch")


def test_a_sharded_backbone_is_refused() -> None:
    from torch.distributed.device_mesh import init_device_mesh

    from onepeace_pl.backbone.parallel import shard

    backbone, task = build()
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        shard(backbone, init_device_mesh("cpu", (1,)))
        with pytest.raises(ValueError, match="ddp"):
            task.outputs(backbone, clips())
    finally:
        dist.destroy_process_group()
