"""Which pairs of factors each law allows, as tables. Letters: K kinds, G backgrounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
    KINDS,
    RHYTHMS,
    SIZES,
)
from onepeace_pl.triworld.world.world import Law

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Allowed:
    """Pairs that may occur: (K, colours), (K, backgrounds), (K, rhythms), 1 or 0."""

    colours: Floats
    backgrounds: Floats
    rhythms: Floats


def _pairs(held_out: frozenset[tuple[str, str]], values: Sequence[str]) -> Floats:
    return np.array([[float((kind, value) not in held_out) for value in values] for kind in KINDS])


def _any(values: Sequence[str]) -> Floats:
    return np.ones((len(KINDS), len(values)))


_COLOURS: Final = _pairs(HELD_OUT_COLOURS, COLOURS)
_BACKGROUNDS: Final = _pairs(HELD_OUT_BACKGROUNDS, BACKGROUNDS)
_RHYTHMS: Final = _pairs(HELD_OUT_RHYTHMS, RHYTHMS)

ANYTHING: Final = Allowed(_any(COLOURS), _any(BACKGROUNDS), _any(RHYTHMS))
LEARNT: Final = Allowed(_COLOURS, _BACKGROUNDS, _RHYTHMS)
LEARNT_TO_THE_EYE: Final = Allowed(_COLOURS, _BACKGROUNDS, _any(RHYTHMS))
LEARNT_TO_THE_EAR: Final = Allowed(_any(COLOURS), _any(BACKGROUNDS), _RHYTHMS)


def hidden_values(law: Law, factor: str) -> Floats:
    """Return (K, values): how likely each value of an object's factor is to those who know only its kind.

    Raises:
        ValueError: The factor's values are tied to other objects' (a law that demands a novel combination).
    """
    if factor == "size":
        return _any(SIZES) / len(SIZES)
    visible = factor in ("colour", "background")
    if (law.novelty == "visible" and visible) or (law.novelty == "audible" and not visible):
        raise ValueError(
            f"novelty={law.novelty!r}: no optimum for a side that can't tell {factor!r}; use another"
        )
    allowed = LEARNT if law.novelty == "exclude" else ANYTHING
    table = {"colour": allowed.colours, "background": allowed.backgrounds, "rhythm": allowed.rhythms}[factor]
    result: Floats = table / table.sum(axis=1, keepdims=True)
    return result
