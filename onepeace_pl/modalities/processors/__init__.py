"""From raw text, pictures and sounds to batch fields: one processor a modality."""

from onepeace_pl.modalities.processors.any_size import AnySizeProcessor
from onepeace_pl.modalities.processors.audio import AudioProcessor, count_frames
from onepeace_pl.modalities.processors.image import ImageProcessor
from onepeace_pl.modalities.processors.text import TextProcessor

__all__ = ["AnySizeProcessor", "AudioProcessor", "ImageProcessor", "TextProcessor", "count_frames"]
