"""Modalities: the adapter contract, the adapters of the paper, and what prepares their raw input."""

from onepeace_pl.modalities.adapter import ModalityAdapter, Off, SequenceAdapter, View
from onepeace_pl.modalities.audio import AudioAdapter
from onepeace_pl.modalities.base import Mask, ModalityInput, ModalitySample, Processor, Tokens
from onepeace_pl.modalities.image import ImageAdapter
from onepeace_pl.modalities.text import TextAdapter

__all__ = [
    "AudioAdapter",
    "ImageAdapter",
    "Mask",
    "ModalityAdapter",
    "ModalityInput",
    "ModalitySample",
    "Off",
    "Processor",
    "SequenceAdapter",
    "TextAdapter",
    "Tokens",
    "View",
]
