"""mmcv's own functions over our operators equal their definitions, forward and backward."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from onepeace_pl.integrations.openmmlab import NEEDED, prepare

prepare()

from mmcv import ops  # noqa: E402 - finds the operators that were made available above


def boxes(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 50
    sides = torch.rand(count, 2, generator=generator) * 30 + 1
    return torch.cat([corners, corners + sides], 1), torch.rand(count, generator=generator)


def overlap(a: list[float], b: list[float], offset: int) -> float:
    def area(x0: float, y0: float, x1: float, y1: float) -> float:
        return max(0.0, x1 - x0 + offset) * max(0.0, y1 - y0 + offset)

    low, high = map(max, a[:2], b[:2]), map(min, a[2:], b[2:])
    shared = area(*low, *high)
    return shared / (area(*a) + area(*b) - shared)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
@pytest.mark.parametrize("count", [0, 1, 60])
def test_nms(count: int, threshold: float, offset: int) -> None:
    corners, scores = boxes(count)
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap(corners[i].tolist(), corners[j].tolist(), offset) <= threshold for j in kept):
            kept.append(i)
    detections, found = ops.nms(corners, scores, threshold, offset)
    assert found.tolist() == kept
    assert torch.equal(detections, torch.cat([corners, scores[:, None]], 1)[kept])


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_soft_nms(count: int, method: str) -> None:
    corners, scores = boxes(count)
    now = dict(enumerate(scores.tolist()))
    kept: list[tuple[int, float]] = []
    while now:
        best = max(now, key=lambda i: now[i])
        kept.append((best, now.pop(best)))
        for i in list(now):
            shared = overlap(corners[best].tolist(), corners[i].tolist(), 0)
            if method == "gaussian":
                now[i] *= math.exp(-(shared**2) / 0.5)
            elif shared >= 0.4:
                now[i] *= (1 - shared) if method == "linear" else 0.0
            if now[i] < 0.05:
                del now[i]
    detections, found = ops.soft_nms(corners, scores, 0.4, sigma=0.5, min_score=0.05, method=method)
    assert found.tolist() == [i for i, _ in kept]
    assert detections[:, 4].tolist() == pytest.approx([score for _, score in kept], abs=1e-6)
    assert torch.equal(detections[:, :4], corners[found])


def test_batched_nms_keeps_classes_apart() -> None:
    corners, scores = boxes(20)
    twice, classes = corners.repeat(2, 1), torch.arange(2).repeat_interleave(20)
    options = {"type": "nms", "iou_threshold": 0.5}
    detections, _ = ops.batched_nms(twice, scores.repeat(2), classes, options)
    alone, _ = ops.nms(corners, scores, 0.5)
    assert len(detections) == 2 * len(alone)


REGIONS = torch.tensor([[0, 1.0, 2.0, 9.0, 12.0], [1, 0.0, 0.0, 15.0, 11.0], [0, -4.0, 3.0, 30.0, 8.0]])


def at(image: Tensor, x: float, y: float) -> Tensor:
    """Value of (C, height, width) between its cells; what is beyond a cell's width outside is zero."""
    height, width = image.shape[1:]
    if not (-1 <= x <= width and -1 <= y <= height):
        return torch.zeros(len(image), dtype=image.dtype)
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = min(int(x), width - 1), min(int(y), height - 1)
    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    upper = (1 - a) * image[:, top, left] + a * image[:, top, right]
    return (1 - b) * upper + b * ((1 - a) * image[:, low, left] + a * image[:, low, right])


def pooled(features: Tensor, scale: float, ratio: int, aligned: bool, size: tuple[int, int]) -> Tensor:
    """The definition: the mean of samples in each cell of a region."""
    result = torch.zeros(len(REGIONS), features.shape[1], *size, dtype=features.dtype)
    for r, (number, *corners) in enumerate(REGIONS.tolist()):
        x0, y0, x1, y1 = (value * scale - (0.5 if aligned else 0.0) for value in corners)
        wide, high = x1 - x0, y1 - y0
        if not aligned:
            wide, high = max(wide, 1.0), max(high, 1.0)
        step_y, step_x = high / size[0], wide / size[1]
        rows, columns = (ratio or math.ceil(step_y)), (ratio or math.ceil(step_x))
        for i in range(size[0]):
            for j in range(size[1]):
                samples = [
                    at(
                        features[int(number)],
                        x0 + j * step_x + (b + 0.5) * step_x / columns,
                        y0 + i * step_y + (a + 0.5) * step_y / rows,
                    )
                    for a in range(rows)
                    for b in range(columns)
                ]
                result[r, :, i, j] = torch.stack(samples).mean(0)
    return result


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [0, 2])
def test_regions(ratio: int, aligned: bool) -> None:
    features = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # as a vision transformer hands them over: channels last
    mine = features.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).requires_grad_()
    theirs = features.clone().requires_grad_()
    found = ops.roi_align(mine, REGIONS.double(), (2, 3), 0.5, ratio, "avg", aligned)
    expected = pooled(theirs, 0.5, ratio, aligned, (2, 3))
    assert torch.allclose(found, expected, atol=1e-10)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(mine.grad, theirs.grad, atol=1e-10)


def test_no_regions() -> None:
    features = torch.randn(1, 3, 6, 8, requires_grad=True)
    found = ops.roi_align(features, torch.zeros(0, 5), (2, 2), 1.0, 0, "avg", True)
    assert found.shape == (0, 3, 2, 2)
    found.sum().backward()
    assert not features.grad.any()


def test_regions_under_autocast() -> None:
    features = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(1))
    expected = pooled(features, 0.5, 2, True, (2, 2))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = features.bfloat16().requires_grad_()
        found = ops.roi_align(rounded, REGIONS.bfloat16(), (2, 2), 0.5, 2, "avg", True)
    assert torch.allclose(found.float(), expected, atol=0.05)
    found.float().sum().backward()
    assert rounded.grad.dtype == torch.bfloat16


def test_deformable_attention_of_mmcv() -> None:
    """What mmcv calls on a GPU gives what its own code gives on a CPU, with its gradients."""
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    generator = torch.Generator().manual_seed(3)
    shapes = torch.tensor([[4, 6], [2, 3]])
    values = torch.randn(2, 30, 2, 4, generator=generator)
    places = torch.rand(2, 5, 2, 2, 3, 2, generator=generator) * 1.2 - 0.1
    weights = torch.rand(2, 5, 2, 2, 3, generator=generator)
    results = []
    for function in (
        lambda v, p, w: MultiScaleDeformableAttnFunction.apply(v, shapes, torch.tensor([0, 24]), p, w, 64),
        lambda v, p, w: multi_scale_deformable_attn_pytorch(v, shapes, p, w),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in (values, places, weights)]
        out = function(*leaves)
        out.square().sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for mine, theirs in zip(*results, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_focal_loss(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(6, 3, generator=generator)
    target = torch.tensor([0, 1, 2, 3, 3, 1])  # 3 is the background
    weight = torch.tensor([0.5, 2.0, 1.0]) if weighted else None
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = ops.sigmoid_focal_loss(mine, target, 2.0, 0.25, weight, "none")
    shares = theirs.sigmoid()
    expected = torch.stack(
        [
            torch.stack(
                [
                    -0.25 * (1 - p) ** 2 * p.log() if c == t else -0.75 * p**2 * (1 - p).log()
                    for c, p in enumerate(row)
                ]
            )
            * (weight[t] if weighted and t < 3 else 1.0)
            for row, t in zip(shares, target.tolist(), strict=True)
        ]
    )
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
    expected.sum().backward()
    assert torch.allclose(mine.grad, theirs.grad, atol=1e-6)


def test_an_operator_that_is_not_here_says_so() -> None:
    with pytest.raises(
        NotImplementedError, match=r"nms_quadri needs a compiled mmcv; without one there are nms"
    ):
        ops.nms_quadri(torch.zeros(2, 8), torch.ones(2), 0.5)
    with pytest.raises(NotImplementedError, match="pool_mode must be 'avg'"):
        ops.roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2, 1.0, 0, "max", True)


def test_versions_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDED, "mmdet", ("9.9.9",))
    with pytest.raises(
        ImportError, match=r"mmdet is 3\.3\.0; dense tasks need mmdet 9\.9\.9: pip install 'mmdet==9\.9\.9'"
    ):
        prepare()
    monkeypatch.setitem(NEEDED, "absent", ("1.",))
    monkeypatch.setitem(NEEDED, "mmdet", ("3.3.0",))
    with pytest.raises(ImportError, match=r"absent is not installed; .*pip install 'absent==1\.\*'"):
        prepare()
