"""On a GPU: mmcv's functions over our operators give what they give on a CPU, with their gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onepeace_pl.integrations.openmmlab import prepare

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

prepare()

from mmcv import ops  # noqa: E402 - finds the operators that were made available above
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction  # noqa: E402


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def boxes(count: int) -> Tensor:
    corners = random(count, 2) * 50
    return torch.cat([corners, corners + random(count, 2, seed=1) * 30 + 1], 1)


def compare(function: Callable[..., Tensor], *leaves: Tensor, dtype: torch.dtype = torch.float32) -> None:
    """Compare the value and the gradients of the leaves, in float32 on the CPU and in `dtype` on the GPU."""
    found = []
    for device, kind in (("cpu", torch.float32), ("cuda", dtype)):
        given = [leaf.detach().to(device, kind).requires_grad_() for leaf in leaves]
        with torch.autocast("cuda", kind, enabled=device == "cuda" and kind != torch.float32):
            out = function(*given)
        weights = random(*out.shape, seed=9).to(device)
        (out.float() * weights).sum().backward()
        found.append([out, *(leaf.grad for leaf in given)])
    tolerance = 1e-4 if dtype == torch.float32 else 0.06
    for cpu, gpu in zip(*found, strict=True):
        assert torch.allclose(gpu.float().cpu(), cpu, atol=tolerance, rtol=tolerance)


def batched(corners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    kinds = (scores * 10).long() % 3
    return ops.batched_nms(corners, scores, kinds, {"type": "nms", "iou_threshold": 0.5})  # type: ignore[no-any-return]


@pytest.mark.parametrize("count", [0, 1, 200])
@pytest.mark.parametrize("function", [
    lambda b, s: ops.nms(b, s, 0.5),
    lambda b, s: ops.soft_nms(b, s, 0.4, sigma=0.5, min_score=0.05, method="linear"),
    batched,
], ids=["nms", "soft_nms", "batched_nms"])  # fmt: skip
def test_nms(function: Callable[..., tuple[Tensor, Tensor]], count: int) -> None:
    if not count and function is batched:
        pytest.skip("mmcv's own function takes no empty set")
    cpu = function(boxes(count), random(count, seed=2))
    gpu = function(boxes(count).cuda(), random(count, seed=2).cuda())
    assert gpu[1].tolist() == cpu[1].tolist()
    assert torch.allclose(gpu[0].cpu(), cpu[0], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("regions", [0, 1, 20])
def test_regions(regions: int, dtype: torch.dtype) -> None:
    places = torch.cat([torch.arange(regions)[:, None] % 2, boxes(regions)], 1)

    def pool(maps: Tensor) -> Tensor:
        last = maps.contiguous(memory_format=torch.channels_last)
        return ops.roi_align(last, places.to(last), (7, 7), 0.25, 0, "avg", True)

    compare(pool, random(2, 8, 24, 24, seed=3), dtype=torch.float32 if not regions else dtype)


def test_deformable_attention() -> None:
    shapes = torch.tensor([[8, 6], [4, 3]])

    def attend(values: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        on = values.device
        return MultiScaleDeformableAttnFunction.apply(  # type: ignore[no-any-return]
            values, shapes.to(on), torch.tensor([0, 48], device=on), places, weights, 64
        )

    places = random(2, 5, 2, 2, 3, 2, seed=4) * 1.2 - 0.1
    compare(attend, random(2, 60, 2, 4, seed=5), places, random(2, 5, 2, 2, 3, seed=6))


def test_focal_loss() -> None:
    target = torch.tensor([0, 1, 2, 3, 3, 1])
    compare(
        lambda logits: ops.sigmoid_focal_loss(logits, target.to(logits.device), 2.0, 0.25, None, "none"),
        random(6, 3, seed=7) - 0.5,
    )
