"""The text modality: adapter, processor, tokenizer, official checkpoint names."""

from onepeace_pl.modalities.text.adapter import TextAdapter
from onepeace_pl.modalities.text.processor import TextProcessor

__all__ = ["TextAdapter", "TextProcessor"]
