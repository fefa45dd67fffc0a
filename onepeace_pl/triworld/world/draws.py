"""Random numbers that are the same on every machine and in every release of numpy.

``numpy.random.Generator`` may change its streams between releases; ``SeedSequence`` and the raw output of
``PCG64`` may not, so all draws are made from raw 64-bit words with integer arithmetic.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
_BLOCK = 64


class Stream(IntEnum):
    """Purposes with independent streams, so that another caption never moves an object."""

    SCENE = 0
    CAPTION = 1
    LABEL = 2
    TABLE = 3
    GALLERY = 4


class Draws:
    """A stream of draws named by whole numbers, such as (world seed, split, index, purpose)."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))
        self._words: list[int] = []

    def word(self) -> int:
        """Return a whole number in [0, 2**64)."""
        if not self._words:
            self._words = self._bits.random_raw(_BLOCK).tolist()
        return self._words.pop()

    def below(self, count: int) -> int:
        """Return a whole number in [0, count)."""
        return (self.word() * count) >> 64

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * ((self.word() >> 11) * 2.0**-53)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform() < probability

    def choice(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return values[self.below(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return the values in random order."""
        order = list(values)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Return ``count`` raw words, for tables."""
        return self._bits.random_raw(count)

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """Return ``count`` numbers in [0, 1), for tables."""
        return (self.words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
