"""Backbones from a preset, and for the weights in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from onepeace_pl.backbone.config import DecoderConfig
from onepeace_pl.backbone.model import Backbone
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.modalities import OFFICIAL
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.utils.json_files import JsonObject

SLACK = 4  # times the weights of a file


def build_for(
    weights: Mapping[str, Tensor], config: JsonObject, source: str, trust: bool = False
) -> Backbone:
    """Make the backbone for weights in a file, on the meta device.

    It is refused as soon as it is larger than the weights, so that a config of absurd sizes costs no time.

    Args:
        weights: Weights of the file, including base weights.
        config: The backbone's config in the file.
        source: The file, for errors.
        trust: Import the adapters' classes whatever their module.

    Raises:
        UserError: There is no such backbone, it is larger than the weights, or a class is no adapter or not trusted.
    """
    try:
        with torch.device("meta"), _no_larger_than(weights):
            return Backbone.from_config(config, trust)
    except Exception as error:  # a config in a file can be wrong in any way
        what = "" if isinstance(error, ValueError | TypeError) else f"no backbone ({type(error).__name__}) "
        raise UserError(f"{source}: {what}{first_line(error)}") from error


@contextmanager
def _no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Reject a model of more, or larger, parameters than the weights, but for some that may be new."""
    count = SLACK * len(weights) + 64
    numbers = SLACK * sum(tensor.numel() for tensor in weights.values())

    def check(module: nn.Module, name: str, parameter: Tensor | None) -> None:
        nonlocal count, numbers
        if parameter is None:
            return
        count, numbers = count - 1, numbers - parameter.numel()
        if count < 0 or numbers < 0:
            raise UserError(
                "the config describes a larger model than the weights are of; take config and weights of one model"
            )

    handle = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        handle.remove()


def from_preset(preset: str, modalities: Iterable[str] | None = None, decoder: bool = True) -> Backbone:
    """Make a backbone of the paper's adapters in their sizes for a preset.

    Args:
        preset: Its name.
        modalities: Subset of the paper's modalities; None for all.
        decoder: With a decoder.
    """
    modalities = list(OFFICIAL if modalities is None else modalities)
    unknown = [name for name in modalities if name not in OFFICIAL]
    if unknown:
        raise UserError(f"no modality {unknown[0]!r} in the presets; there are {', '.join(OFFICIAL)}")
    adapters = {name: OFFICIAL[name].factory(preset) for name in modalities}
    return Backbone(adapters, TransformerConfig(preset), DecoderConfig(depth=None if decoder else 0))
