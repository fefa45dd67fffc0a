"""The focal loss (arXiv 1708.02002) under the names of ``mmcv._ext``, which mmcv calls on a GPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Put the loss of each row and class into ``output`` (N, C).

    Args:
        input: Logits (N, C).
        target: Classes (N,); C is the background.
        weight: Of the rows of each class (C,), or empty.
        output: Receives the result.
        gamma: Power that makes easy examples count less.
        alpha: Weight of what is the class, 1 - alpha of what is not.
    """
    output.copy_(_loss(input.float(), target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Put the gradient of the losses' sum into ``grad_input`` (N, C); arguments as in the forward pass."""
    with torch.enable_grad():
        logits = input.detach().float().requires_grad_()
        loss = _loss(logits, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(loss, logits)[0])


def _loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    is_class = F.one_hot(target, logits.shape[1] + 1)[:, :-1].to(logits.dtype)
    sign = 2 * is_class - 1
    missed = (-sign * logits).sigmoid()  # 1 - the probability given to what is true
    share = alpha * is_class + (1 - alpha) * (1 - is_class)
    loss = -share * missed**gamma * F.logsigmoid(sign * logits)
    if weight.numel():
        loss = loss * torch.cat([weight, weight.new_ones(1)])[target, None]
    return loss
