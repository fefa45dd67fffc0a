"""Multi-scale deformable attention with the signatures of ``mmcv._ext``, which mmcv calls on GPUs."""

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
    """Multi-scale deformable attention; shapes as in ``deformable_attention``."""
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
    """Recompute the forward pass and write gradients to the last three tensors."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (value, sampling_loc, attn_weight)]
        result = _attend(leaves[0], spatial_shapes, *leaves[1:])
    gradients = torch.autograd.grad(result, leaves, grad_output)
    for output, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True):
        output.copy_(gradient)


def _attend(value: Tensor, spatial_shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    shapes = [(int(height), int(width)) for height, width in spatial_shapes.tolist()]
    return deformable_attention(value, shapes, locations, weights).contiguous()
