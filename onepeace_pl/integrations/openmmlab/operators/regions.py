"""RoIAlign with the signatures of ``mmcv._ext``: results are written to output tensors."""

from __future__ import annotations

import torch
import torchvision  # noqa: F401 - registers torch.ops.torchvision
from torch import Tensor

AVERAGE = 1  # the only supported pool_mode


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
    """RoIAlign: features (B, C, H, W), regions (R, 5: batch index, corners) -> ``output`` (R, C, h, w).

    Args:
        input: Features; half precision is computed in float32, as torchvision has no bfloat16 kernel.
        rois: Regions.
        output: Output tensor.
        argmax_y: Unused (max pooling).
        argmax_x: Unused (max pooling).
        aligned_height: h.
        aligned_width: w.
        spatial_scale: Scale from image to feature coordinates.
        sampling_ratio: Sampling points per bin and axis; 0 is adaptive.
        pool_mode: ``AVERAGE``.
        aligned: Shift by half a pixel, for exact alignment.

    Raises:
        NotImplementedError: Another ``pool_mode``.
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
    """Write the gradient of the features to ``grad_input``; arguments as in ``roi_align_forward``."""
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
