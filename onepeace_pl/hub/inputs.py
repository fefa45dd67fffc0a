"""Inputs of ``encode`` as lists of equal length, by modality."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities import Processor, RawInput


@dataclass(frozen=True)
class Inputs:
    """Items of one call.

    Attributes:
        lists: Raw values by modality, all of the same number.
        count: Their number N.
        single: There was one item, without a list.
    """

    lists: Mapping[str, Sequence[RawInput]]
    count: int
    single: bool

    @classmethod
    def of(
        cls,
        inputs: Mapping[str, RawInput | Sequence[RawInput]],
        processors: Mapping[str, Processor],
        modalities: Sequence[str],
    ) -> Self:
        """Read the keyword arguments of a call.

        Args:
            inputs: One item or several, by modality.
            processors: Those of the model.
            modalities: The model's.

        Raises:
            TypeError: A value is neither an item nor a list.
            UserError: Nothing is given, a modality is unknown, or the numbers of items differ.
        """
        check_modalities(inputs, processors, modalities)
        single = {name for name, items in inputs.items() if processors[name].is_single(items)}
        if single and len(single) < len(inputs):
            raise UserError(
                f"{sorted(single)[0]} is one item and {next(n for n in inputs if n not in single)} a list; "
                "items fused must be as many"
            )
        lists = {name: [items] if single else _as_list(name, items) for name, items in inputs.items()}
        lengths = {name: len(items) for name, items in lists.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(
                f"items fused must be as many: {', '.join(f'{k} {n}' for n, k in lengths.items())}"
            )
        return cls(lists, next(iter(lengths.values())), bool(single))

    def items(self) -> Iterator[dict[str, RawInput]]:
        """Yield the raw values of each item, by modality."""
        for i in range(self.count):
            yield {name: values[i] for name, values in self.lists.items()}


def check_modalities(
    names: Collection[str], processors: Mapping[str, Processor], modalities: Sequence[str]
) -> None:
    """Reject inputs of modalities that the model cannot embed, and no inputs at all.

    Raises:
        UserError: Names the modalities that it can.
    """
    if not names:
        raise UserError(f"nothing to encode; pass a list for one or more of {', '.join(modalities)}")
    for name in names:
        if name not in modalities:
            raise UserError(f"no modality {name!r}; the model has {', '.join(modalities)}")
        if name not in processors:
            raise UserError(
                f"the model has {name}, but no preprocessing for it; give OnePeace a processor for {name!r}"
            )


def _as_list(name: str, items: RawInput | Sequence[RawInput]) -> Sequence[RawInput]:
    if isinstance(items, np.ndarray | Tensor) and items.ndim == 4:
        return list(items)
    if isinstance(items, np.ndarray) and items.dtype.kind in "US":
        return [str(item) for item in items]
    if isinstance(items, np.ndarray | Tensor):
        raise TypeError(
            f"{name} is an array of {items.ndim} dimensions, one item or several? "
            f"write {name}=[array] for one, {name}=list(array) for several"
        )
    if not isinstance(items, Sequence | Iterator):
        raise TypeError(f"{name} must be a list of items, not one {type(items).__name__}; write {name}=[...]")
    return list(items)
