"""Pseudo-random permutation that is computed row by row instead of stored: a Feistel network with cycle walking.

A shuffled array of N rows takes 8 N bytes in every process and N steps before the first batch; this takes a few keys.

Sources: Luby and Rackoff 1988 (permutations from Feistel networks), Black and Rogaway 2002 (cycle walking to a domain
of any size), Mitchell et al. 2022, arXiv 2106.06161 (shuffling of data sets by them).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onepeace_pl.errors import UserError

Indices = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]
_ROUNDS = 8
_FEWEST_BITS = (
    8  # of the domain of the network: the halves of a smaller one have too few functions to draw from
)


class FeistelPermutation:
    """Permutation of the numbers from 0 to ``size - 1``; memory and time of a number do not depend on the size.

    Args:
        size: Numbers that are permuted, below 2**62.
        seed: Seeds, such as those of a run and of an epoch; the same give the same permutation everywhere.
    """

    def __init__(self, size: int, *seed: int) -> None:
        if not 0 < size < 2**62:
            raise UserError(f"a permutation of {size} numbers; give it from 1 to 2**62 - 1")
        self.size = size
        bits = max((size - 1).bit_length(), _FEWEST_BITS)
        self._low = np.uint64(bits - bits // 2)
        self._masks = (np.uint64(2 ** (bits // 2) - 1), np.uint64(2 ** (bits - bits // 2) - 1))
        self._keys = np.random.SeedSequence([size, *seed]).generate_state(_ROUNDS, np.uint64)

    def __call__(self, positions: npt.ArrayLike) -> Indices:
        """Return the numbers at these positions (P,).

        Raises:
            IndexError: A position is not in the permutation.
        """
        asked = np.asarray(positions, dtype=np.int64)
        if asked.size and not (asked.min() >= 0 and asked.max() < self.size):
            raise IndexError(f"positions from {asked.min()} to {asked.max()} of {self.size}")
        values = self._network(asked.astype(np.uint64))
        # a value outside leads, step by step, back inside: to one that no other position gets
        while (outside := np.flatnonzero(values >= self.size)).size:
            values[outside] = self._network(values[outside])
        return values.astype(np.int64)

    def _network(self, values: _Words) -> _Words:
        high, low = values >> self._low, values & self._masks[1]
        for number, key in enumerate(self._keys):
            if number % 2:
                low = low ^ (_mixed(high ^ key) & self._masks[1])
            else:
                high = high ^ (_mixed(low ^ key) & self._masks[0])
        return (high << self._low) | low


def _mixed(words: _Words) -> _Words:
    """Return the words after the finaliser of SplitMix64, which changes half of the bits for each one that differs."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
