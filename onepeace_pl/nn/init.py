"""Initialisation of the released model (docs/reference/model.md)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


def truncated_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill with a normal of deviation ``std`` truncated at one deviation, so the effective deviation is 0.54 std."""
    return nn.init.trunc_normal_(tensor, std=std, a=-std, b=std)


def reset_linear_(layer: nn.Linear, std: float) -> None:
    """Truncated-normal weight, zero bias."""
    truncated_normal_(layer.weight, std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


@runtime_checkable
class ResetsParameters(Protocol):
    """A module that initialises its own parameters, submodules excluded."""

    def reset_parameters(self) -> None:
        """Initialise in place."""
