"""Backbones from plain data, and from a preset's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from onepeace_pl.backbone.config import DecoderOptions, TransformerOptions
from onepeace_pl.backbone.model import Backbone
from onepeace_pl.backbone.presets import adapter_options
from onepeace_pl.backbone.stages import read_stage
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, ModalityAdapter, TextAdapter
from onepeace_pl.modalities.description import factory
from onepeace_pl.nn import TransformerConfig

Adapting = Callable[[TransformerConfig], ModalityAdapter]


def build(description: Mapping[str, Any]) -> Backbone:
    """Make the backbone that :meth:`Backbone.describe` described."""
    adapters: dict[str, Adapting] = {
        name: factory(spec, ModalityAdapter, f"adapter {name!r}")  # type: ignore[type-abstract]
        for name, spec in description["adapters"].items()
    }
    return Backbone(
        adapters,
        TransformerOptions(**description["transformer"]),
        DecoderOptions(**description["decoder"]),
        read_stage(description.get("stage", "vision_language")),
    )


def from_preset(
    preset: str, modalities: Iterable[str] = ("text", "image", "audio"), decoder: bool = True
) -> Backbone:
    """Make a backbone of the paper's adapters in their sizes for ``preset``."""
    classes: dict[str, Callable[..., ModalityAdapter]] = {
        "text": TextAdapter,
        "image": ImageAdapter,
        "audio": AudioAdapter,
    }
    modalities = list(modalities)
    unknown = [name for name in modalities if name not in classes]
    if unknown:
        raise ValueError(f"no modality {unknown[0]!r} in the presets; there are {', '.join(classes)}")
    adapters: dict[str, Adapting] = {
        name: partial(classes[name], **adapter_options(preset, name)) for name in modalities
    }
    small = DecoderOptions() if decoder else replace(DecoderOptions(), depth=0)
    return Backbone(adapters, TransformerOptions(preset), small)
