"""The audio modality: adapter, processor, decoding, official checkpoint names."""

from onepeace_pl.modalities.audio.adapter import AudioAdapter
from onepeace_pl.modalities.audio.processor import AudioProcessor, count_frames

__all__ = ["AudioAdapter", "AudioProcessor", "count_frames"]
