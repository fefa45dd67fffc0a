"""Modalities: the adapter interface, and a folder for each modality: adapter, processor, official names."""

from onepeace_pl.modalities.adapter import ModalityAdapter, Off, SequenceAdapter, View
from onepeace_pl.modalities.audio import AudioAdapter, AudioProcessor, count_frames
from onepeace_pl.modalities.base import Mask, ModalityInput, ModalitySample, Processor, Tokens
from onepeace_pl.modalities.image import AnySizeProcessor, ImageAdapter, ImageProcessor
from onepeace_pl.modalities.text import TextAdapter, TextProcessor

__all__ = [
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
    "Processor",
    "SequenceAdapter",
    "TextAdapter",
    "TextProcessor",
    "Tokens",
    "View",
    "count_frames",
]
