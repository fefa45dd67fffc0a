"""Features of regions under the names of ``mmcv._ext``: results go into tensors that the caller made."""

from __future__ import annotations

import torch
import torchvision  # noqa: F401 - registers torch.ops.torchvision
from torch import Tensor

AVERAGE = 1  # the one pooling there is


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Sample features (B, C, H, W) on a grid in each region (R, 5: picture, corners) -> ``output`` (R, C, h, w).

    Args:
        input: Features; torchvision has no kernel for bfloat16, so they are read in float32.
        rois: Regions.
        output: Receives the result.
        argmax_y: Of another pooling.
        argmax_x: Of another pooling.
        aligned_height: h.
        aligned_width: w.
        spatial_scale: Features' size by the picture's.
        sampling_ratio: Samples of a cell along a side; 0 takes as many as fit.
        pool_mode: ``AVERAGE``.
        aligned: Whether the middle of a cell is at half of it.

    Raises:
        NotImplementedError: Another pooling.
    """
    _check(pool_mode)
    features, regions = _exact(input), _exact(rois)
    output.copy_(
        torch.ops.torchvision.roi_align(
            features.contiguous(),
            regions.to(features.dtype).contiguous(),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Put the gradient of the features into ``grad_input``; arguments as in ``roi_align_forward``."""
    _check(pool_mode)
    gradient, regions = _exact(grad_output), _exact(rois)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            gradient.contiguous(),
            regions.to(gradient.dtype).contiguous(),
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def _check(pool_mode: int) -> None:
    if pool_mode != AVERAGE:
        raise NotImplementedError("roi_align: pool_mode must be 'avg' without a compiled mmcv")


def _exact(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
