"""Directions of retrieval by name: ``audio->image``, ``audio+text->image``, or short as ``a2i`` and ``at2i``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import modality_of

LETTERS: Final = {"t": "text", "i": "image", "a": "audio"}
"""Letters of short names, those of MTEB."""

ARROW: Final = "->"


@dataclass(frozen=True)
class Direction:
    """Retrieval of candidates by queries.

    Attributes:
        query: Fields of a row that form the query.
        target: Fields of the candidates.
    """

    query: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of both sides."""
        return (*self.query, *self.target)

    @property
    def back(self) -> Direction:
        """The opposite direction."""
        return Direction(self.target, self.query)

    def __str__(self) -> str:
        return f"{'+'.join(self.query)}{ARROW}{'+'.join(self.target)}"


def parse_direction(text: str, modalities: Sequence[str], fields: Sequence[str]) -> Direction:
    """Parse the name of a direction.

    ``2`` may stand for the arrow, which a shell takes for a redirection unless it is quoted. Either side of a short
    name is made of :data:`LETTERS`. A modality that a short name has on both sides (``ait2i``) is on the query's side
    the only other field of that modality, such as ``image:reference``.

    Args:
        text: ``audio->image``, ``audio+image:reference->image``, ``audio2image`` or ``a2i``.
        modalities: Modalities of the model.
        fields: Fields of the rows.

    Raises:
        UserError: It is no direction, a modality is unknown, or a side has one twice.
    """
    parts = text.split(ARROW) if ARROW in text else text.split("2")
    if len(parts) != 2 or not all(parts):
        raise UserError(
            f"direction {text!r} is neither short, as a2i, nor long, as 'audio->image' (quoted: > is special to a "
            "shell) or audio2image"
        )
    query, target = (_side(part, modalities) for part in parts)
    for field in (*query, *target):
        if modality_of(field) not in modalities:
            letters = ", ".join(f"{letter} ({name})" for letter, name in LETTERS.items())
            raise UserError(
                f"direction {text!r}: the model has no modality {modality_of(field)!r}; it has "
                f"{', '.join(modalities)}, and the letters of short names are {letters}"
            )
    query = tuple(_other_field(text, field, fields) if field in target else field for field in query)
    direction = Direction(query, target)
    for side in (query, target):
        if len(set(map(modality_of, side))) < len(side):
            raise UserError(f"direction {text!r}: {'+'.join(side)} has a modality twice; name it once")
    return direction


def _side(text: str, modalities: Sequence[str]) -> tuple[str, ...]:
    if text not in modalities and all(letter in LETTERS for letter in text):
        return tuple(LETTERS[letter] for letter in text)
    return tuple(text.split("+"))


def _other_field(text: str, field: str, fields: Sequence[str]) -> str:
    modality = modality_of(field)
    others = [each for each in fields if modality_of(each) == modality and each != field]
    if len(others) != 1:
        new = f"such as {modality}:reference (--columns {modality}:reference=COLUMN)"
        known = f"one of {', '.join(others)}" if others else new
        raise UserError(
            f"direction {text!r}: {field} is on both sides, so that a query would find itself; name another field of "
            f"the rows for the query, {known}"
        )
    return others[0]


def all_pairs(fields: Sequence[str]) -> list[Direction]:
    """Return both directions of each pair of modalities; further fields of a modality are left out."""
    names = sorted(
        (field for field in fields if modality_of(field) == field), key=lambda name: name == "text"
    )
    pairs = [Direction((a,), (b,)) for a, b in combinations(names, 2)]
    return [each for pair in pairs for each in (pair, pair.back)]


def galleries(
    name: str,
    rows: Source,
    directions: Sequence[Direction],
    groups: Sequence[str] | None = None,
    merge_duplicates: bool = True,
) -> list[Gallery]:
    """Return the galleries of some directions, one for both directions of a pair.

    Names and sides are those of :func:`~onepeace_pl.data.evaluation.gallery.pair_galleries`: of text and something
    else, text is the target.

    Args:
        name: Name of the rows, which that of each gallery begins with.
        rows: The rows.
        directions: The directions.
        groups: Group of each row; recall is also reported by group of the queries.
        merge_duplicates: Count items of equal content as one.
    """
    wanted = list(dict.fromkeys(directions))
    chosen: list[tuple[Direction, bool]] = []
    for direction in wanted:
        if direction.back not in wanted:
            chosen.append((direction, False))
        elif wanted.index(direction) < wanted.index(direction.back):
            chosen.append((direction.back if direction.query == ("text",) else direction, True))
    shared = rows.one_per_id()
    return [
        Gallery(
            name=name
            if len(chosen) == 1
            else f"{name}/{'+'.join(direction.query)}_{'+'.join(direction.target)}",
            query=direction.query,
            target=direction.target,
            both_directions=both,
            rows=rows,
            groups=groups,
            one_per_id=tuple(field for field in shared if field in direction.fields),
            merge_duplicates=merge_duplicates,
        )
        for direction, both in chosen
    ]
