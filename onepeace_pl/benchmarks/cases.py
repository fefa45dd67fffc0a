"""Benchmark cases: a component of this package and its reference implementation, with the same weights.

Shapes: B samples, L tokens with the CLS token at index 0, K visible tokens, H heads, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.benchmarks import reference as plain
from onepeace_pl.benchmarks import reference_losses, workload
from onepeace_pl.nn import GridBuckets, RelativeBias, Segment, TokenSequence
from onepeace_pl.nn.fast.kernels import attend, choose
from onepeace_pl.nn.fast.packing import pack, unpack
from onepeace_pl.nn.presets import preset_sizes


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: Name of the component.
        ours: Runs this project's part.
        reference: Runs the original's way.
        kernel: Attention kernel of this package; empty if there are several or none.
    """

    name: str
    ours: Callable[[], Tensor]
    reference: Callable[[], Tensor]
    kernel: str = ""


@dataclass(frozen=True)
class Setting:
    """Settings that all cases of one run share: a preset's sizes, samples B, dtype and device."""

    preset: str
    batch: int
    dtype: torch.dtype
    device: str = "cpu"

    def random(self, *shape: int) -> Tensor:
        """Make a leaf tensor of normal numbers."""
        made = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
        return made.to(device=self.device, dtype=self.dtype).requires_grad_()


def backward_of(make: Callable[[], Tensor], leaves: Iterable[Tensor]) -> Callable[[], Tensor]:
    """Return a call that makes a tensor and takes the gradients of its sum, into leaves that it empties first."""
    emptied = list(leaves)

    def call() -> Tensor:
        for leaf in emptied:
            leaf.grad = None
        value = make()
        torch.autograd.backward(value, torch.ones_like(value))
        return value

    return call


def step(setting: Setting, stage: int) -> list[Case]:
    """Time forward and backward of a whole pretraining step: all passes and losses."""
    backbone = workload.build(setting.preset, stage, setting.dtype, setting.device)
    work = workload.make_batch(backbone, stage, setting.batch)
    model = plain.ReferenceModel(backbone)
    return [
        Case(
            f"step of stage {stage}",
            backward_of(lambda: workload.loss(backbone, work, stage), list(backbone.parameters())),
            backward_of(lambda: reference_losses.loss(model, work, stage), list(model.weights.values())),
        )
    ]


def attention(setting: Setting, lengths: list[int]) -> list[Case]:
    """Time the core of attention: without gradients, with a learned bias, with a frozen one."""
    sizes = preset_sizes(setting.preset)
    cases = []
    for length in lengths:
        qkv = setting.random(setting.batch, length, 3, sizes.heads, sizes.width // sizes.heads)
        q, k, v = (qkv[:, :, i].detach().flatten(2).requires_grad_() for i in range(3))
        bias = setting.random(1, sizes.heads, length, length)
        expanded = bias.detach().expand(setting.batch, -1, -1, -1).contiguous().requires_grad_()
        cases += _attentions(qkv, (q, k, v), bias, expanded)
    return cases


def _attentions(qkv: Tensor, parts: tuple[Tensor, ...], bias: Tensor, expanded: Tensor) -> list[Case]:
    length, heads = qkv.shape[1], qkv.shape[3]
    q, k, v = parts
    still, still_expanded = bias.detach(), expanded.detach()

    def ours() -> Tensor:
        with torch.no_grad():
            return attend(qkv, still, None)

    def reference() -> Tensor:
        with torch.no_grad():
            return plain.attention(q, k, v, still_expanded, heads)

    def kernel(bias_grad: bool, grad: bool) -> str:
        return choose(qkv.device.type, qkv.dtype, bias_grad, grad, length)

    return [
        Case(f"attention {length}, forward", ours, reference, kernel(False, False)),
        Case(
            f"attention {length}, forward and backward, learned bias",
            backward_of(lambda: attend(qkv, bias, None), [qkv, bias]),
            backward_of(lambda: plain.attention(q, k, v, expanded, heads), [q, k, v, expanded]),
            kernel(True, True),
        ),
        Case(
            f"attention {length}, forward and backward, frozen bias",
            backward_of(lambda: attend(qkv, still, None), [qkv]),
            backward_of(lambda: plain.attention(q, k, v, still_expanded, heads), [q, k, v]),
            kernel(False, True),
        ),
    ]


def bias(setting: Setting, side: int) -> list[Case]:
    """Time the look-up of an image's bias with its gradient: of all ``side ** 2`` patches, of a visible quarter."""
    heads, buckets = preset_sizes(setting.preset).heads, GridBuckets(side)
    length, visible = side * side + 1, side * side // 4 + 1
    module = RelativeBias(buckets, heads, 1).to(device=setting.device, dtype=setting.dtype)
    table = setting.random(buckets.rows, heads)
    with torch.no_grad():
        module.tables[0].copy_(table)
    index = buckets.index(length).to(setting.device)
    order = torch.rand(setting.batch, length - 1, generator=torch.Generator().manual_seed(0)).argsort(1)
    chosen = order[:, : visible - 1].sort(1).values + 1
    keep = torch.cat([torch.zeros(setting.batch, 1, dtype=torch.long), chosen], dim=1).to(setting.device)

    def reference() -> Tensor:
        return plain.joint_bias([plain.expanded_bias(table, index, setting.batch)])

    def student() -> Tensor:
        own = plain.visible_bias(plain.expanded_bias(table, index, setting.batch), keep)
        return plain.joint_bias([own])

    tables = list(module.parameters())
    return [
        Case(
            f"bias of {length} tokens",
            backward_of(lambda: module(length)[0], tables),
            backward_of(reference, [table]),
        ),
        Case(
            f"bias of {visible} visible of {length}",
            backward_of(lambda: module(length, keep)[0], tables),
            backward_of(student, [table]),
        ),
    ]


def layer(setting: Setting, lengths: list[int]) -> list[Case]:
    """Time one block over one modality: without gradients, and with them."""
    backbone = workload.build(setting.preset, 1, setting.dtype, setting.device)
    model = plain.ReferenceModel(backbone)
    cases = []
    for length in lengths:
        cases += _layers(backbone, model, setting, length)
    return cases


def _layers(backbone: Backbone, model: plain.ReferenceModel, setting: Setting, length: int) -> list[Case]:
    heads, block = backbone.config.heads, backbone.encoder.transformer.blocks[0]
    x = setting.random(setting.batch, length, backbone.config.width)
    own = setting.random(1, heads, length, length)
    expanded = own.detach().expand(setting.batch, -1, -1, -1).contiguous().requires_grad_()
    sequence = TokenSequence(x, (Segment("image", 0, length),))
    name = "encoder_wrapper.fusion_model.layers.0"

    def ours() -> Tensor:
        rows, packings = pack([sequence])
        return unpack(block(rows, [[own]], packings), packings)[0]

    def reference() -> Tensor:
        return model.layer(x, expanded, {"image": length}, heads, name)

    weights = [w for key, w in model.weights.items() if key.startswith(name)]
    return [
        Case(f"layer {length}, forward", torch.no_grad()(ours), torch.no_grad()(reference)),
        Case(
            f"layer {length}, forward and backward",
            backward_of(ours, [x, own, *block.parameters()]),
            backward_of(reference, [x, expanded, *weights]),
        ),
    ]
