"""Tokenizers of a data module: trained on its texts where a text processor has none, and kept in checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping

from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.base import Processor
from onepeace_pl.modalities.text.tokenizer import Tokenizer


class Tokenizers:
    """Tokenizers of the text processors among others.

    Args:
        processors: Modality to processor; text processors get the tokenizers.
        vocabulary_size: Largest vocabulary of a trained tokenizer.
    """

    def __init__(self, processors: Mapping[str, Processor], vocabulary_size: int) -> None:
        self.processors = processors
        self.vocabulary_size = vocabulary_size
        self._trained: set[str] = set()

    @property
    def embedded(self) -> int | None:
        """Vocabulary size that the model must embed; None where there is no text."""
        tokenizers = [processor.tokenizer for processor in self._text().values() if processor.tokenizer]
        return tokenizers[0].vocabulary_size if tokenizers else None

    def train(self, texts: Callable[[str], Iterable[str]]) -> None:
        """Train a tokenizer for each text processor without one; the same texts give the same tokenizer.

        Args:
            texts: Modality to its training texts; called only where there is something to train.
        """
        for name, processor in self._text().items():
            if processor.tokenizer is None:
                cleaned = (processor.clean(text) for text in texts(name))
                processor.tokenizer = Tokenizer.train(cleaned, self.vocabulary_size)
                self._trained.add(name)

    def state_dict(self) -> dict[str, str]:
        """Return the tokenizers that were trained here; a model is worthless without its own."""
        text = self._text()
        trained = {name: text[name].tokenizer for name in sorted(self._trained)}
        return {name: tokenizer.to_json() for name, tokenizer in trained.items() if tokenizer}

    def load_state_dict(self, state: Mapping[str, str]) -> None:
        """Load the tokenizers of a checkpoint, with a warning where the current texts give others."""
        for name, processor in self._text().items():
            if name not in state:
                continue
            tokenizer = Tokenizer.from_json(state[name])
            if processor.tokenizer != tokenizer:
                warnings.warn(
                    f"processors.{name} takes the checkpoint's tokenizer; these texts give another",
                    stacklevel=2,
                )
                processor.tokenizer = tokenizer

    def _text(self) -> dict[str, TextProcessor]:
        return {name: p for name, p in self.processors.items() if isinstance(p, TextProcessor)}
