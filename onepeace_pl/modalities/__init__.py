"""Modalities: the adapter interface, and a folder for each modality: adapter, processor, official names."""

from typing import Any

from onepeace_pl.modalities.adapter import ModalityAdapter, Off, SequenceAdapter, View
from onepeace_pl.modalities.audio import AudioAdapter, AudioProcessor, count_frames
from onepeace_pl.modalities.audio.decoding import AudioInput
from onepeace_pl.modalities.audio.official import OfficialAudio
from onepeace_pl.modalities.base import Mask, ModalityInput, ModalitySample, Processor, Tokens
from onepeace_pl.modalities.image import AnySizeProcessor, ImageAdapter, ImageProcessor
from onepeace_pl.modalities.image.decoding import ImageInput
from onepeace_pl.modalities.image.official import OfficialImage
from onepeace_pl.modalities.official import OfficialModality
from onepeace_pl.modalities.text import TextAdapter, TextProcessor
from onepeace_pl.modalities.text.official import OfficialText
from onepeace_pl.modalities.text.processor import TextInput

PlugInInput = Any
"""The raw value of a modality of your own."""

RawInput = TextInput | ImageInput | AudioInput | PlugInInput
"""One raw value of any modality."""

OFFICIAL: dict[str, OfficialModality] = {
    each.name: each for each in (OfficialText(), OfficialImage(), OfficialAudio())
}
"""Modalities of the released models, by name."""

__all__ = [
    "OFFICIAL",
    "AnySizeProcessor",
    "AudioAdapter",
    "AudioInput",
    "AudioProcessor",
    "ImageAdapter",
    "ImageInput",
    "ImageProcessor",
    "Mask",
    "ModalityAdapter",
    "ModalityInput",
    "ModalitySample",
    "Off",
    "OfficialModality",
    "PlugInInput",
    "Processor",
    "RawInput",
    "SequenceAdapter",
    "TextAdapter",
    "TextInput",
    "TextProcessor",
    "Tokens",
    "View",
    "count_frames",
]
