"""Modalities: the adapter interface, and a folder for each modality: adapter, processor, official names."""

from onepeace_pl.modalities.adapter import ModalityAdapter, Off, SequenceAdapter, View
from onepeace_pl.modalities.audio import AudioAdapter, AudioProcessor, count_frames
from onepeace_pl.modalities.audio.official import OfficialAudio
from onepeace_pl.modalities.base import Mask, ModalityInput, ModalitySample, Processor, Tokens
from onepeace_pl.modalities.image import AnySizeProcessor, ImageAdapter, ImageProcessor
from onepeace_pl.modalities.image.official import OfficialImage
from onepeace_pl.modalities.official import OfficialModality
from onepeace_pl.modalities.text import TextAdapter, TextProcessor
from onepeace_pl.modalities.text.official import OfficialText

OFFICIAL: dict[str, OfficialModality] = {
    each.name: each for each in (OfficialText(), OfficialImage(), OfficialAudio())
}
"""Modalities of the released models, by name."""

__all__ = [
    "OFFICIAL",
    "AnySizeProcessor",
    "AudioAdapter",
    "AudioProcessor",
    "ImageAdapter",
    "ImageProcessor",
    "Mask",
    "ModalityAdapter",
    "ModalityInput",
    "ModalitySample",
    "Off",
    "OfficialModality",
    "Processor",
    "SequenceAdapter",
    "TextAdapter",
    "TextProcessor",
    "Tokens",
    "View",
    "count_frames",
]
