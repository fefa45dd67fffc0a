"""Masking for the denoising objective: rules that draw hidden tokens, and index tensors (paper, section 3.2).

Numbers of hidden tokens are those of the official code.
Shapes: B batch, L tokens with the CLS token at index 0, K visible tokens, M hidden tokens, N real tokens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Mask

Bools = npt.NDArray[np.bool_]


class MaskRule(ABC):
    """Draws which tokens of one modality of one sample are hidden.

    Args:
        ratio: Share of tokens to hide, 0..1.
    """

    def __init__(self, ratio: float) -> None:
        if not 0 <= ratio <= 1:
            raise UserError(f"ratio={ratio} must be a share in 0..1")
        self.ratio = ratio

    def __call__(
        self, length: int, word_starts: Bools | None, rng: np.random.Generator, other: Bools | None = None
    ) -> Bools:
        """Draw hidden tokens.

        Args:
            length: Number of tokens without the CLS token, the end token of a text included.
            word_starts: (length,) bool, where words begin; None for what is not text. Text ends with the end
                token, which is never hidden.
            rng: Source of all randomness.
            other: (length,) bool, what another stream of the same sample hides; None where there is none.
                Rules that know how to complement another stream do.

        Returns:
            (length,) bool, True where hidden.
        """
        is_text = word_starts is not None
        count = length - 1 if is_text else length
        starts = (
            np.asarray(word_starts, dtype=np.bool_)[:count] if is_text else np.ones(count, dtype=np.bool_)
        )
        hidden = np.zeros(length, dtype=np.bool_)
        hidden[:count] = self.draw(starts, rng, None if other is None else np.asarray(other)[:count])
        return hidden

    @abstractmethod
    def draw(self, starts: Bools, rng: np.random.Generator, other: Bools | None) -> Bools:
        """Return (n,) bool for n tokens that may be hidden; `starts` (n,) is True where a word begins."""


class WholeWords(MaskRule):
    """Hides ``ceil(ratio * words)`` whole words, each with all its tokens."""

    def draw(self, starts: Bools, rng: np.random.Generator, other: Bools | None) -> Bools:
        """Draw words; what comes before the first start belongs to a word of its own."""
        if not len(starts):
            return np.zeros(0, dtype=np.bool_)
        starts = starts.copy()
        starts[0] = True
        words = np.cumsum(starts) - 1
        number = int(words[-1]) + 1
        chosen = np.zeros(number, dtype=np.bool_)
        chosen[rng.choice(number, math.ceil(self.ratio * number), replace=False)] = True
        hidden: Bools = chosen[words]
        return hidden


class RandomTokens(MaskRule):
    """Hides ``int(ratio * n)`` single tokens, first of all those that another stream does not hide.

    Stage 1 needs no more: the joint text hides tokens that the text student sees, and the joint image hides
    all patches that the image student sees, so that the two never see the same patch.
    """

    def draw(self, starts: Bools, rng: np.random.Generator, other: Bools | None) -> Bools:
        """Draw tokens."""
        order = rng.permutation(len(starts))
        if other is not None:
            order = order[np.argsort(other[order], kind="stable")]
        hidden = np.zeros(len(starts), dtype=np.bool_)
        hidden[order[: int(self.ratio * len(starts))]] = True
        return hidden


class Spans(MaskRule):
    """Hides ``int(ratio * n)`` tokens in spans.

    Centres of spans are drawn with replacement, ``int(n * (ratio + 0.1) / span)`` of them; then single tokens
    are hidden or shown again at random until the number is exact.

    Args:
        ratio: Share of tokens to hide, 0..1.
        span: Tokens in a span; those that reach beyond an end are cut there.
    """

    def __init__(self, ratio: float, span: int = 5) -> None:
        super().__init__(ratio)
        if span < 1:
            raise UserError(f"span={span} must be at least 1 token")
        self.span = span

    def draw(self, starts: Bools, rng: np.random.Generator, other: Bools | None) -> Bools:
        """Draw spans."""
        length = len(starts)
        hidden = np.zeros(length, dtype=np.bool_)
        if not length:
            return hidden
        centres = rng.integers(length, size=int(length * ((self.ratio + 0.1) / self.span)))
        reach = np.arange(self.span) - self.span // 2
        hidden[np.clip(centres[:, None] + reach, 0, length - 1)] = True
        surplus = int(hidden.sum()) - int(self.ratio * length)
        candidates = np.flatnonzero(hidden if surplus > 0 else ~hidden)
        hidden[rng.choice(candidates, abs(surplus), replace=False)] = surplus < 0
        return hidden


def build_mask(hidden: Tensor, padding: Tensor | None = None) -> Mask:
    """Turn hidden tokens into the index tensors of a student pass.

    Args:
        hidden: (B, L) bool, True where hidden; the CLS token at index 0 and padding are not.
        padding: (B, L) bool, True where padded; None where nothing is.

    Raises:
        UserError: If a CLS token or a padded token is hidden.
    """
    real = torch.ones_like(hidden) if padding is None else ~padding
    if bool(hidden[:, 0].any()) or bool((hidden & ~real).any()):
        raise UserError("hidden must be False for the CLS token at index 0 and for padded tokens")
    visible = real & ~hidden
    counts = visible.sum(dim=1)
    width = int(counts.max())
    order = torch.argsort((~visible).to(torch.uint8), dim=1, stable=True)[:, :width]
    empty = torch.arange(width) >= counts[:, None]
    is_key = real.clone()
    is_key[:, 0] = False
    row_of_key = torch.cumsum(is_key.flatten(), 0) - 1
    flat = hidden.flatten().nonzero().squeeze(1)
    return Mask(
        keep=order.masked_fill(empty, width - 1),
        keep_padding=empty if bool(empty.any()) else None,
        hidden=flat,
        keys=is_key.flatten().nonzero().squeeze(1),
        targets=row_of_key[flat],
    )
