"""Rows without labels, of raw values in memory or of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from onepeace_pl.data.source import Row, Source, values_of
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import RawValue
from onepeace_pl.modalities.image.decoding import header_sizes, open_image


class InputRows(Source):
    """Rows of raw values.

    Args:
        rows: The rows.
        modalities: Modalities of every row.
        check: Raises an error for a row that the task cannot read.
        sized: Image whose size is added as a label; empty for none.
    """

    def __init__(
        self,
        rows: Sequence[Row] | Source,
        modalities: Sequence[str],
        check: Callable[[Row], None],
        sized: str = "",
    ) -> None:
        self.rows, self.modalities, self.check, self.sized = rows, tuple(modalities), check, sized

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Row:
        row = self.rows[index]
        self.check(row)
        if not self.sized:
            return row
        return Row(row.id, row.fields, {**row.labels, "image_size": _upright_size(row.fields[self.sized])})


def make_rows(given: Mapping[str, RawValue | Sequence[RawValue]]) -> tuple[list[Row], bool]:
    """Make rows of values by modality, and say whether they are one alone.

    A list, an iterator and an array of several images hold values of several rows; all else is one value, a tuple
    several values of one row. One value beside a list belongs to each of its rows.

    Raises:
        UserError: Lists differ in length.
    """
    lists = {name: _several(value) for name, value in given.items()}
    lengths = {name: len(values) for name, values in lists.items() if values is not None}
    if len(set(lengths.values())) > 1:
        raise UserError(
            f"{', '.join(f'{count} of {name}' for name, count in lengths.items())}: give lists of one length, or one "
            "value for all"
        )
    rows = []
    for number in range(next(iter(lengths.values()), 1)):
        fields = {n: given[n] if values is None else values[number] for n, values in lists.items()}
        rows.append(Row(_name(fields) or str(number), fields))
    return rows, not lengths


def _several(value: RawValue | Sequence[RawValue]) -> list[RawValue] | None:
    """Return the values of several rows; None where it is one value."""
    if isinstance(value, np.ndarray | Tensor):
        return list(value) if value.ndim == 4 else None
    return list(value) if isinstance(value, list | Iterator) else None


def _name(fields: Mapping[str, RawValue]) -> str:
    """Return the paths of a row; empty where it has none."""
    paths = [
        str(value)
        for raw in fields.values()
        for value in values_of(raw)
        if isinstance(value, Path) or (isinstance(value, str) and os.path.exists(value))
    ]
    return "+".join(paths)


def _upright_size(raw: RawValue) -> tuple[int, int]:
    if isinstance(raw, str | Path | bytes):
        return header_sizes(raw)[1]
    return open_image(raw).size
