"""Several sources with different modalities, merged by id."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Literal

import numpy as np

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Fields, Row, Source, ids_of
from onepeace_pl.errors import UserError


class MergedSource(Source):
    """Rows of several sources merged by id, such as a table of images and one of their sounds.

    (:class:`JoinedSource` concatenates: it puts rows of the same modalities one after the other.)

    An id has as many rows as in the source where it occurs most often (five captions of one image: five rows); a source
    where it occurs less often repeats its values in order. Every value thus occurs, without the product of all of them;
    since rows of equal id belong together, retrieval counts every pair of an id as correct.

    Args:
        sources: Name, for messages, to source; each has modalities of its own. Rows are in the order of the first.
        incomplete: Handling of ids that a source lacks: "raise", or "skip" with a warning that counts them.

    Raises:
        UserError: If there are fewer than two sources, two have the same modality, ids are incomplete, or no id is in
            all of them.
    """

    def __init__(self, sources: dict[str, Source], incomplete: Literal["raise", "skip"] = "raise") -> None:
        if len(sources) < 2:
            raise UserError(f"{len(sources)} sources; name two or more to merge")
        _check_modalities(sources)
        self.sources = dict(sources)
        self.modalities = tuple(chain.from_iterable(source.modalities for source in sources.values()))
        self.classes = next((tuple(each.classes) for each in sources.values() if each.classes), ())
        numbers = {name: _rows_by_id(source) for name, source in sources.items()}
        _check_ids(numbers, incomplete)
        self._ids: list[str] = []
        picked: list[list[int]] = []
        for identity in next(iter(numbers.values())):
            if any(identity not in rows for rows in numbers.values()):
                continue
            own = [rows[identity] for rows in numbers.values()]
            for number in range(max(map(len, own))):
                self._ids.append(identity)
                picked.append([rows[number % len(rows)] for rows in own])
        self._rows = np.array(picked, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int, /) -> Row:
        return self._merged(index, [source[row] for source, row in self._parts(index)])

    def training_row(self, index: int, epoch: int) -> Row:
        """Return a row of an epoch."""
        return self._merged(index, [source.training_row(row, epoch) for source, row in self._parts(index)])

    def ids(self) -> Iterator[str]:
        """Return the id of each row."""
        return iter(self._ids)

    def files(self, index: int) -> list[str] | None:
        """Return the media files of a row; None where a source must load it for that."""
        found: list[str] = []
        for source, row in self._parts(index):
            files = source.files(row)
            if files is None:
                return None
            found += files
        return found

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value."""
        if len(set(self._ids)) == len(self._ids):
            return ()
        shared: list[str] = []
        for number, source in enumerate(self.sources.values()):
            rows_of_ids = len(set(zip(self._ids, self._rows[:, number].tolist(), strict=True)))
            is_unique = rows_of_ids == len(set(self._ids))
            shared += source.modalities if is_unique else source.one_per_id()
        return tuple(shared)

    def _parts(self, index: int) -> Iterator[tuple[Source, int]]:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return zip(self.sources.values(), self._rows[index].tolist(), strict=True)

    def _merged(self, index: int, rows: list[Row]) -> Row:
        fields: Fields = {}
        labels: dict[str, object] = {}
        for row in rows:
            fields |= row.fields
            labels = {**row.labels, **labels}  # of a label that several have, the first source's
        return Row(self._ids[index], fields, labels)


def _rows_by_id(source: Source) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for index, identity in enumerate(ids_of(source)):
        rows.setdefault(identity, []).append(index)
    return rows


def _check_modalities(sources: Mapping[str, Source]) -> None:
    owner: dict[str, str] = {}
    for name, source in sources.items():
        for modality in source.modalities:
            if modality in owner:
                raise UserError(
                    f"{owner[modality]} and {name} both have {modality}; leave it out of one, or give it another "
                    "name in `columns`"
                )
            owner[modality] = name


def _check_ids(numbers: Mapping[str, Mapping[str, list[int]]], incomplete: str) -> None:
    names = list(numbers)
    known = dict.fromkeys(chain.from_iterable(numbers.values()))
    lacking = {
        identity: gone
        for identity in known
        if (gone := [name for name in names if identity not in numbers[name]])
    }
    if len(lacking) == len(known):
        firsts = ", ".join(f"{shown(next(iter(rows)))} in {name}" for name, rows in numbers.items() if rows)
        raise UserError(
            f"no id is in all of {', '.join(names)} (the first: {firsts or 'none'}); check that their id columns "
            "hold the same ids"
        )
    if not lacking:
        return
    first, gone = next(iter(lacking.items()))
    message = (
        f"{len(lacking)} of {len(known)} ids are not in all of {', '.join(names)}; the first: {shown(first)} is not "
        f"in {' and '.join(gone)}"
    )
    if incomplete == "raise":
        raise UserError(f"{message}; add it, or set incomplete: skip")
    warnings.warn(f"{message}; they are left out", stacklevel=3)
