"""The backbone: any subset of modalities through one encoder, and a decoder for the denoising objective."""

from onepeace_pl.backbone.build import build, from_preset
from onepeace_pl.backbone.config import DecoderOptions, TransformerOptions
from onepeace_pl.backbone.model import Backbone
from onepeace_pl.backbone.passes import Features, ForwardPass
from onepeace_pl.backbone.presets import PRESETS
from onepeace_pl.backbone.stages import Extend, Last, LowRank

__all__ = [
    "PRESETS",
    "Backbone",
    "DecoderOptions",
    "Extend",
    "Features",
    "ForwardPass",
    "Last",
    "LowRank",
    "TransformerOptions",
    "build",
    "from_preset",
]
