"""Sigmoid focal loss (arXiv 1708.02002) with the signatures of ``mmcv._ext``, which mmcv calls on GPUs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write the loss of each row and class to ``output`` (N, C).

    Args:
        input: Logits (N, C).
        target: Class indices (N,); C is the background.
        weight: Class weights (C,), or empty.
        output: Output tensor.
        gamma: Focusing parameter.
        alpha: Weight of positives; negatives have 1 - alpha.
    """
    output.copy_(_loss(input.float(), target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the gradient of the summed loss to ``grad_input`` (N, C); arguments as in the forward pass."""
    with torch.enable_grad():
        logits = input.detach().float().requires_grad_()
        loss = _loss(logits, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(loss, logits)[0])


def _loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    is_class = F.one_hot(target, logits.shape[1] + 1)[:, :-1].to(logits.dtype)
    sign = 2 * is_class - 1
    error = (-sign * logits).sigmoid()  # 1 - p of the correct label
    balance = alpha * is_class + (1 - alpha) * (1 - is_class)
    loss = -balance * error**gamma * F.logsigmoid(sign * logits)
    if weight.numel():
        loss = loss * torch.cat([weight, weight.new_ones(1)])[target, None]
    return loss
