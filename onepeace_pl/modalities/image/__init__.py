"""The image modality: adapter, processors, augmentation, decoding, official checkpoint names."""

from onepeace_pl.modalities.image.adapter import ImageAdapter
from onepeace_pl.modalities.image.any_size import AnySizeProcessor
from onepeace_pl.modalities.image.processor import ImageProcessor

__all__ = ["AnySizeProcessor", "ImageAdapter", "ImageProcessor"]
