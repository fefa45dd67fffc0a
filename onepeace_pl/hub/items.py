"""Embedded items of sources: each distinct text, image or sound once, with the ids of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from onepeace_pl.backbone import Fuse
from onepeace_pl.data.loading.content import raw_content
from onepeace_pl.data.source import Source, ids_of, values_of
from onepeace_pl.errors import UserError
from onepeace_pl.hub.calibration import Calibration, Kind, joint_name
from onepeace_pl.hub.onepeace import OnePeace
from onepeace_pl.metrics.mixed_pool import Items
from onepeace_pl.modalities import RawInput

SEED = 0
Value = Mapping[str, RawInput]
"""Modality to raw value; several modalities are read in one joint pass."""


class _Distinct:
    """Distinct values of one modality, and the rows that they occur in."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.ids: list[int] = []
        self.index: list[int] = []
        self._numbers: dict[tuple[int, ...], int] = {}

    def add(self, value: Value, identity: int) -> None:
        key = tuple(raw_content(raw) for raw in value.values())
        number = self._numbers.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        self.ids.append(identity)
        self.index.append(number)


def embed_items(
    model: OnePeace, sources: Mapping[str, Source], ids: int = 1024, batch_size: int = 32
) -> dict[str, Items]:
    """Embed the rows of sources without calibration.

    Values of equal content are one item. Combinations of a row's modalities that the model fuses in a joint pass
    by default are embedded, too, under names such as ``image+text``.

    Args:
        model: The model.
        sources: Name to source; rows of different sources never belong together.
        ids: Number of ids of each source, drawn at random by a fixed seed; all their rows are read.
        batch_size: Inputs per forward pass.

    Raises:
        UserError: The sources have none of the model's modalities.
    """
    found: dict[str, _Distinct] = {}
    numbers: dict[tuple[str, str], int] = {}
    for source_name, source in sources.items():
        names = [name for name in source.modalities if name in model.processors]
        for index in drawn_rows(source, ids):
            row = source[index]
            identity = numbers.setdefault((source_name, row.id), len(numbers))
            values = {name: values_of(row.fields[name]) for name in names}
            for value in _values(values, model.backbone.default_fuse):
                found.setdefault(joint_name(value), _Distinct()).add(value, identity)
    if not found:
        held = {name for source in sources.values() for name in source.modalities}
        raise UserError(
            f"the rows have {', '.join(sorted(held)) or 'nothing'}, the model reads {', '.join(model.processors)}"
        )
    items = {}
    for name, each in found.items():
        inputs: dict[str, Any] = {part: [value[part] for value in each.values] for part in each.values[0]}
        vectors = model.encode(fuse="joint", calibrate=False, batch_size=batch_size, **inputs)
        items[name] = Items(vectors, torch.tensor(each.ids), torch.tensor(each.index))
    return items


def drawn_rows(source: Source, ids: int) -> list[int]:
    """Return the rows of so many ids, drawn at random by a fixed seed, in their order."""
    known = list(ids_of(source))
    distinct = list(dict.fromkeys(known))
    drawn = np.random.default_rng(SEED).permutation(len(distinct))[:ids]
    chosen = {distinct[number] for number in drawn}
    return [index for index, identity in enumerate(known) if identity in chosen]


def fit_calibration(items: Mapping[str, Items], kind: Kind = "centring") -> Calibration:
    """Fit a calibration to embedded items."""
    ids: dict[str, Sequence[str]] = {}
    for name, each in items.items():
        own = torch.empty(len(each.vectors), dtype=torch.int64)
        own[each.index] = each.ids  # of an item of several rows, one of their ids
        ids[name] = [str(number) for number in own.tolist()]
    return Calibration.fit({name: each.vectors for name, each in items.items()}, kind, ids)


def calibrated(items: Mapping[str, Items], calibration: Calibration) -> dict[str, Items]:
    """Return items with calibrated vectors."""
    return {
        name: Items(calibration.transform(name, each.vectors), each.ids, each.index)
        for name, each in items.items()
    }


def _values(
    values: Mapping[str, Sequence[RawInput]], fuse: Callable[[Iterable[str]], Fuse]
) -> Iterator[Value]:
    """Yield each value of a row, and the combinations of modalities that the model reads in a joint pass."""
    for name, several in values.items():
        yield from ({name: value} for value in several)
    single = [name for name, several in values.items() if len(several) == 1]
    for size in range(2, len(single) + 1):
        for names in combinations(single, size):
            if fuse(names) == "joint":
                yield {name: values[name][0] for name in names}
