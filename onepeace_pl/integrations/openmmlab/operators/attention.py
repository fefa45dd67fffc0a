"""Deformable attention under the names of ``mmcv._ext``, which mmcv calls on a GPU; on a CPU it has its own."""

from __future__ import annotations

import torch
from torch import Tensor

from onepeace_pl.nn.deformable import deformable_attention


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    im2col_step: int,
) -> Tensor:
    """Return what each query reads; ``deformable_attention`` tells the shapes."""
    return _attend(value, spatial_shapes, sampling_loc, attn_weight)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Run forward once more, and put the gradients into the three tensors given for them."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (value, sampling_loc, attn_weight)]
        result = _attend(leaves[0], spatial_shapes, *leaves[1:])
    found = torch.autograd.grad(result, leaves, grad_output)
    for place, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), found, strict=True):
        place.copy_(gradient)


def _attend(value: Tensor, spatial_shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    shapes = [(int(height), int(width)) for height, width in spatial_shapes.tolist()]
    return deformable_attention(value, shapes, locations, weights).contiguous()
