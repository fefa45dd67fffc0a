"""LoRA: linear layers with low-rank adapters (arXiv 2106.09685).

``y = W x + s B A x`` with A (R, in), B (out, R) and s = alpha / R. B starts as zeros, so that outputs start unchanged.
``weight`` and ``bias`` keep their names: weights of a model without adapters fit one with them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.errors import UserError, nearest

A, B = "lora_A", "lora_B"  # the peft library's names


class LoRA(nn.Linear):
    """Low-rank adapter of a linear layer: a mixin that :func:`add_lora` puts before the layer's own class.

    Attributes:
        rank: R.
        scale: s, the factor of the adapter's output.
        dropout: On the adapter's input.
        lora_A: (R, in).
        lora_B: (out, R).
    """

    rank: int
    scale: float
    dropout: float
    lora_A: nn.Parameter
    lora_B: nn.Parameter

    def reset_parameters(self) -> None:
        """Initialise the layer in place, and its adapter."""
        super().reset_parameters()
        self.reset_adapter()

    def reset_adapter(self) -> None:
        """Initialise the adapter in place."""
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        narrow = F.linear(F.dropout(input, self.dropout, self.training), self.lora_A)
        return torch.add(super().forward(input), F.linear(narrow, self.lora_B), alpha=self.scale)

    @torch.no_grad()
    def merge(self) -> None:
        """Merge the adapter into the weight and remove it; outputs stay the same, but for rounding."""
        self.weight.copy_(_merged(self.weight, self.lora_A, self.lora_B, self.scale))
        del self.lora_A, self.lora_B
        classes = type(self).__mro__
        self.__class__ = classes[classes.index(LoRA) + 1]


def lora_class(layer: type[nn.Linear]) -> type[LoRA]:
    """Return the class of such a layer with an adapter, made once."""
    if layer not in _CLASSES:
        _CLASSES[layer] = type(f"LoRA{layer.__name__}", (LoRA, layer), {"__module__": __name__})
    return _CLASSES[layer]


_CLASSES: dict[type[nn.Linear], type[LoRA]] = {}


def adapt(layer: nn.Linear, rank: int, scale: float = 1.0, dropout: float = 0.0) -> LoRA:
    """Give a layer an adapter, zero at first; also on the meta device.

    The layer stays the same object, of another class, as PyTorch's ``parametrize`` and ``fully_shard`` do it.
    """
    layer.__class__ = lora_class(type(layer))
    assert isinstance(layer, LoRA)
    layer.rank, layer.scale, layer.dropout = rank, scale, dropout
    layer.lora_A = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
    layer.lora_B = nn.Parameter(layer.weight.new_empty(layer.out_features, rank))
    layer.reset_adapter()
    return layer


def add_lora(
    root: nn.Module, targets: Sequence[str], rank: int, scale: float = 1.0, dropout: float = 0.0
) -> list[str]:
    """Add adapters to the layers named by ``targets``.

    Args:
        root: The module with linear layers.
        targets: Parts of the layers' dotted names: ``attention``, ``feed_forward.text``, ``contract``.
        rank: R.
        scale: Factor of the adapters' output.
        dropout: On the adapters' input.

    Returns:
        Names of the layers that got one.

    Raises:
        UserError: A target names no layer.
    """
    layers = {name: module for name, module in root.named_modules() if isinstance(module, nn.Linear)}
    for target in targets:
        if not any(_names(target, name) for name in layers):
            kinds = list(dict.fromkeys(re.sub(r"^(.*\.)?\d+\.", "", name) for name in layers))
            steps = (step for kind in kinds for step in kind.split("."))
            hint = nearest(target, steps, f"there are {', '.join(kinds)}")
            raise UserError(f"target {target!r} of lora names no layer; {hint}")
    chosen = [name for name in layers if any(_names(target, name) for target in targets)]
    for name in chosen:
        adapt(layers[name], rank, scale, dropout)
    return chosen


def merge_lora(state: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Return a state dict with all adapters merged into their weights."""
    merged = {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in (A, B)}
    for name in state:
        if name.rpartition(".")[2] == A:
            layer = name.removesuffix(A)
            weight, b = f"{layer}weight", state[f"{layer}{B}"]
            merged[weight] = _merged(state[weight], state[name], b, scale)
    return merged


def _merged(weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Compute in float32 at least, whatever the weights are kept in."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    return (weight.to(wide) + scale * (b.to(wide) @ a.to(wide))).to(weight.dtype)


def _names(target: str, layer: str) -> bool:
    return f".{target}." in f".{layer}."
