"""1-D convolution with channels last, so that the norms and linear layers that follow need no transposition.

Shapes: B batch, T frames, C channels in, O channels out, W width of a window in frames.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve without padding and bias: (B, T, C) with (O, C, W) -> (B, (T - W) // stride + 1, O)."""
    if x.device.type == "cpu" and not torch.compiler.is_exporting():  # windows would fix a batch above 1
        if torch.is_autocast_enabled("cpu"):  # autocast does not cast a custom function
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
        out: Tensor = _Windows.apply(x, weight, stride)
        return out
    return F.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)


class _Windows(torch.autograd.Function):
    """One product of all windows with the kernel; on CPU the library's gradients are several times slower."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        x = x.contiguous()
        (batch, frames, channels), (out, _, width) = x.shape, weight.shape
        count = (frames - width) // stride + 1
        windows = x.as_strided(
            (batch, count, width * channels), (frames * channels, stride * channels, 1), x.storage_offset()
        ).reshape(batch * count, width * channels)
        kernel = weight.transpose(1, 2).reshape(out, width * channels)
        ctx.save_for_backward(windows, kernel)
        ctx.sizes = batch, frames, channels, width, count, stride
        return (windows @ kernel.t()).view(batch, count, out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        windows, kernel = ctx.saved_tensors
        batch, frames, channels, width, count, stride = ctx.sizes
        grad = grad.reshape(batch * count, -1)
        x_grad = kernel_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = grad.new_zeros(batch, frames, channels)
            taps = (grad @ kernel).view(batch, count, width, channels)
            for tap in range(width):
                x_grad[:, tap : tap + (count - 1) * stride + 1 : stride] += taps[:, :, tap]
        if ctx.needs_input_grad[1]:
            # the library is slow where few windows' values are the columns: ten times for the waveform's
            kernel_grad = (windows.t() @ grad).t().reshape(-1, width, channels).transpose(1, 2).contiguous()
        return x_grad, kernel_grad, None
