"""Inputs, samples, tokens and masks of a modality, and the processor interface.

Shapes: B batch, L tokens with the CLS token at index 0, D width, H heads, K visible tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from torch import Tensor

from onepeace_pl.utils.configurable import Configurable

RawValue: TypeAlias = Any
"""Raw value of a modality, of a type that its processor takes."""


ROLE = ":"


def modality_of(field: str) -> str:
    """Return the modality of a row's field: ``image`` of ``image``, and of ``image:reference``, a further image."""
    return field.partition(ROLE)[0]


@dataclass
class ModalityInput:
    """One modality of a batch: the input of an adapter.

    Attributes:
        values: (B, ...). Token ids (B, L - 1) with the end token; pixels (B, 3, S, S); waveforms (B, N).
        padding: (B, L) bool over tokens with the CLS token at index 0, True where padded. None where nothing is
            padded: known on the host, so the device need not be synchronised.
        kind: Which type embedding is added where the adapter has them (0: first image of a pair, 1: second).
    """

    values: Tensor
    padding: Tensor | None = None
    kind: int = 0


@dataclass
class Mask:
    """Mask of one modality in a student pass. Made on the host, in collate.

    Attributes:
        keep: (B, K) int64, visible positions in ascending order, 0 (the CLS token) first; empty slots hold K - 1.
        keep_padding: (B, K) bool, True in empty slots; None where no slot is empty.
        hidden: (M,) int64, flat indices ``b * L + position`` of the hidden tokens.
        keys: (N,) int64, flat indices of all real tokens but the CLS tokens: candidates of the contrastive loss.
        targets: (M,) int64, for each hidden token its row in ``keys``.
    """

    keep: Tensor
    keep_padding: Tensor | None
    hidden: Tensor
    keys: Tensor
    targets: Tensor


@dataclass
class ModalitySample:
    """One modality of one sample, before collating.

    Attributes:
        values: Token ids (K,) with the end token, pixels (3, S, S), waveform (N,).
        length: Number of tokens without the CLS token.
        word_starts: (K,) bool, True where a token begins a word; text only.
    """

    values: Tensor
    length: int
    word_starts: Tensor | None = None


class Tokens(NamedTuple):
    """One modality of one pass, ready for the encoder.

    Attributes:
        embeddings: (B, L, D), or (B, K, D) of the visible tokens.
        padding: (B, L) or (B, K) bool, True where padded; None where nothing is.
        bias: No tensor, one for all layers, or one for each layer: (1, H, L, L), or (B, H, K, K) of visible tokens.
        length: Number of tokens L with the CLS token, hidden ones counted.
    """

    embeddings: Tensor
    padding: Tensor | None
    bias: list[Tensor]
    length: int


class Processor(Configurable, ABC):
    """Preprocessing of one modality: raw value to sample, samples to batch.

    Picklable, saved with the model. Each constructor argument is kept as an attribute of the same name.
    """

    @abstractmethod
    def __call__(
        self, raw: RawValue, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        """Prepare one raw value; ``rng`` is the source of random augmentation in training."""

    def is_single(self, value: object) -> bool:
        """Return whether a value is one raw value, rather than a list of several."""
        return isinstance(value, str | bytes | Path)

    @abstractmethod
    def collate(self, samples: Sequence[ModalitySample]) -> ModalityInput:
        """Batch samples, padded where lengths differ."""
