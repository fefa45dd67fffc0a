"""The backbone: one encoder for any subset of modalities, and a decoder for the denoising objective."""

from onepeace_pl.backbone.build import from_preset
from onepeace_pl.backbone.config import DecoderConfig
from onepeace_pl.backbone.encoder import Features, ForwardPass
from onepeace_pl.backbone.fusion import Fuse
from onepeace_pl.backbone.model import Backbone
from onepeace_pl.backbone.stages import Extend, Frozen, Last, LoRAStage, Stage, VisionLanguage
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.presets import PRESETS

__all__ = [
    "PRESETS",
    "Backbone",
    "DecoderConfig",
    "Extend",
    "Features",
    "ForwardPass",
    "Frozen",
    "Fuse",
    "Last",
    "LoRAStage",
    "Stage",
    "TransformerConfig",
    "VisionLanguage",
    "from_preset",
]
