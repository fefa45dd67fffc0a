"""Weights of inference: bfloat16, or linear layers in int8.

Shapes: O outputs, I inputs of a linear layer.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from onepeace_pl.backbone import Backbone
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.nn.lora import LoRA

Weights = Literal["float32", "bf16", "int8"]
"""Weights of a loaded model.

``float32`` and ``bf16`` are the dtype of everything. ``int8`` is weight-only: of the transformer blocks' linear layers
8 bits an element and one scale for each output (absmax), which are expanded to the activations' dtype when they are
used; the rest keeps its dtype.
"""

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


class Int8(nn.Module):
    """Parametrization of a weight (O, I) by int8 elements (O, I) and scales (O, 1)."""

    def forward(self, elements: Tensor, scales: Tensor) -> Tensor:
        """Return the weight in the scales' dtype."""
        return elements.to(scales.dtype) * scales

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return elements and scales of a weight; a row's greatest absolute value becomes 127."""
        greatest = weight.abs().amax(1, keepdim=True)
        scales = greatest.where(greatest > 0, torch.ones_like(greatest)) / 127  # a row of zeros stays one
        elements = (weight.float() / scales.float()).round().clamp(-127, 127)
        return elements.to(torch.int8), scales


def dtype_of_weights(weights: Weights | None, dtype: torch.dtype | None) -> torch.dtype | None:
    """Return the dtype to load with.

    Raises:
        UserError: There are no such weights, or they contradict the dtype.
    """
    if weights is None:
        return dtype
    if weights not in get_args(Weights):
        raise UserError(f"weights={weights!r}: {nearest(str(weights), get_args(Weights))}")
    own = _DTYPES.get(weights, dtype)
    if dtype not in (None, own):
        raise UserError(
            f"weights={weights!r} contradicts dtype={str(dtype).removeprefix('torch.')!r}; drop one"
        )
    return own


def quantize_weights(backbone: Backbone) -> None:
    """Store the weights of the transformer blocks' linear layers in int8, in place; for inference only.

    Low-rank adapters are merged before. The backbone then raises where it is called in training mode.
    """
    if any(isinstance(module, LoRA) for module in backbone.modules()):
        backbone.merge()
    backbone.requires_grad_(False)
    stacks = [part.transformer for part in (backbone.encoder, backbone.decoder) if part is not None]
    for stack in stacks:
        for module in list(stack.modules()):
            if isinstance(module, nn.Linear):
                parametrize.register_parametrization(module, "weight", Int8())
    backbone.register_forward_pre_hook(_refuse_training)


def is_quantized(backbone: Backbone) -> bool:
    """Whether weights are in int8."""
    return any(isinstance(module, Int8) for module in backbone.modules())


def count_parameters(backbone: Backbone) -> int:
    """Return the number of parameters; scales of int8 weights do not count."""
    scales = {
        id(module.original1)
        for module in backbone.modules()
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], Int8)
    }
    return sum(each.numel() for each in backbone.parameters() if id(each) not in scales)


def check_plain(backbone: Backbone, what: str) -> None:
    """Reject int8 weights.

    Args:
        backbone: The backbone.
        what: What they cannot be, such as ``saved``.

    Raises:
        UserError: Weights are in int8.
    """
    if is_quantized(backbone):
        raise UserError(f"int8 weights cannot be {what}; load the model without weights='int8'")


def _refuse_training(module: nn.Module, inputs: object) -> None:
    if module.training:
        raise UserError(
            "int8 weights cannot be trained; load the model without weights='int8', or call eval()"
        )
