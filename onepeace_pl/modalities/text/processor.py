"""Text preprocessing: cleaning, tokenisation, end token. Shapes: B batch, K ids with the end token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ModalityInput, ModalitySample, Processor
from onepeace_pl.modalities.text.cleaning import CLEANINGS
from onepeace_pl.modalities.text.tokenizer import END, PAD, Tokenizer
from onepeace_pl.modalities.truncation import Truncations

TextInput = str
"""One sentence."""

LONGEST: Final = 100_000
"""Characters of a text that are looked at; tokenising 50 million takes minutes."""


class TextProcessor(Processor):
    """Tokenises a sentence: cleaned, one leading blank, at most `max_tokens`, then the end token.

    Args:
        tokenizer: A tokenizer, the path of a saved one, or a folder with the three released files. None is
            filled in later (a data module trains one on its texts).
        max_tokens: Keep at most so many tokens before the end token; None keeps all. Cuts are counted and
            warned about.
        cleaning: "caption" as the data sets do, "lower" as the embedding interface does, "none".

    Attributes:
        truncations: Counts of truncated inputs in this process.
    """

    def __init__(
        self,
        tokenizer: str | Tokenizer | None = None,
        max_tokens: int | None = 70,
        cleaning: Literal["caption", "lower", "none"] = "caption",
    ) -> None:
        if max_tokens is not None and max_tokens < 1:
            raise UserError(f"max_tokens={max_tokens} must be at least 1, or null to keep all tokens")
        if cleaning not in CLEANINGS:
            raise UserError(f"cleaning={cleaning!r} is unknown; choose one of {', '.join(CLEANINGS)}")
        self.tokenizer: Tokenizer | None = (
            Tokenizer.load(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer
        )
        self.max_tokens = max_tokens
        self.cleaning = cleaning
        self.truncations = Truncations()

    def clean(self, text: str) -> str:
        """Return the sentence as it is tokenised, without the leading blank."""
        return CLEANINGS[self.cleaning](text)

    def __call__(
        self, raw: TextInput, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        """Tokenise one sentence.

        Returns:
            Ids (K,) int64 with the end token, their number, and where words begin (the end token counts as
            one).

        Raises:
            TypeError: If `raw` is no string.
            UserError: If nothing is left of the sentence after cleaning, no tokenizer is set, or all tokens of
                more than 100,000 characters are wanted.
        """
        if not isinstance(raw, str):
            raise TypeError(f"text must be a string, got {type(raw).__name__}; pass one sentence")
        if self.tokenizer is None:
            raise UserError(
                "the text processor has no tokenizer: give `tokenizer` a saved one, or train one on the data"
            )
        if len(raw) > LONGEST:
            if self.max_tokens is None:
                raise UserError(
                    f"a text of {len(raw)} characters, more than {LONGEST}; cut it, or set max_tokens"
                )
            raw = raw[:LONGEST]  # far more than max_tokens tokens
        cleaned = self.clean(raw)
        if not cleaned.strip():
            raise UserError(
                f"empty sentence {raw[:40]!r}: cleaning leaves nothing; give it words or leave the row out"
            )
        ids = self.tokenizer.encode(" " + cleaned)
        if self.max_tokens is not None and len(ids) > self.max_tokens:
            self.truncations.note(
                f"a sentence of {len(ids)} tokens was cut to {self.max_tokens} (max_tokens): {cleaned[:32]!r}"
            )
            ids = ids[: self.max_tokens]
        ids = [*ids, END]
        return ModalitySample(torch.tensor(ids), len(ids), torch.from_numpy(self.tokenizer.word_starts(ids)))

    def collate(self, samples: Sequence[ModalitySample]) -> ModalityInput:
        """Pad ids on the right: (B, K) int64, padding (B, K + 1) with the CLS token first."""
        lengths = torch.tensor([sample.length for sample in samples])
        longest = int(lengths.max())
        values = torch.full((len(samples), longest), PAD)
        for row, sample in zip(values, samples, strict=True):
            row[: sample.length] = sample.values
        if bool((lengths == longest).all()):
            return ModalityInput(values)
        return ModalityInput(values, torch.arange(longest + 1) > lengths[:, None])
