"""Sampling laws: the distribution of scenes, and the pairs of factors that training holds out.

Shapes: K kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
    KINDS,
    MAX_OBJECTS,
    RHYTHMS,
    SIZES,
)
from onepeace_pl.triworld.world.numerics import Floats

Novelty = Literal["exclude", "include", "visible", "audible"]


@dataclass(frozen=True)
class Law:
    """Distribution of scenes: all factors are uniform and independent, given a condition on held-out combinations.

    Attributes:
        objects: Least and greatest number of objects; every number between is equally likely.
        novelty: ``"exclude"``: no held-out combination (the law of training); ``"include"``: no condition;
            ``"visible"`` / ``"audible"``: at least one held-out combination is visible / audible.
    """

    objects: tuple[int, int] = (1, 2)
    novelty: Novelty = "exclude"

    def __post_init__(self) -> None:
        fewest, most = self.objects
        if not 1 <= fewest <= most <= MAX_OBJECTS:
            raise UserError(f"objects={self.objects!r}: give (least, greatest) between 1 and {MAX_OBJECTS}")
        if self.novelty not in get_args(Novelty):
            raise UserError(f"novelty={self.novelty!r}: choose one of {', '.join(get_args(Novelty))}")


@dataclass(frozen=True)
class PairTables:
    """Allowed pairs of a kind and another factor, 1 or 0: (K, colours), (K, backgrounds), (K, rhythms)."""

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

ALL_PAIRS: Final = PairTables(_any(COLOURS), _any(BACKGROUNDS), _any(RHYTHMS))
TRAIN_PAIRS: Final = PairTables(_COLOURS, _BACKGROUNDS, _RHYTHMS)
VISUAL_TRAIN_PAIRS: Final = PairTables(_COLOURS, _BACKGROUNDS, _any(RHYTHMS))
AUDIBLE_TRAIN_PAIRS: Final = PairTables(_any(COLOURS), _any(BACKGROUNDS), _RHYTHMS)


def hidden_value_prior(law: Law, factor: str) -> Floats:
    """Return p(value | kind) of a factor that a modality does not show, (K, values).

    Raises:
        UserError: The factor depends on other objects (a law that demands a held-out combination).
    """
    if factor == "size":
        return _any(SIZES) / len(SIZES)
    visible = factor in ("colour", "background")
    if (law.novelty == "visible" and visible) or (law.novelty == "audible" and not visible):
        raise UserError(
            f"novelty={law.novelty!r}: the optimum without {factor!r} is unknown; choose another novelty"
        )
    allowed = TRAIN_PAIRS if law.novelty == "exclude" else ALL_PAIRS
    table = {"colour": allowed.colours, "background": allowed.backgrounds, "rhythm": allowed.rhythms}[factor]
    result: Floats = table / table.sum(axis=1, keepdims=True)
    return result
