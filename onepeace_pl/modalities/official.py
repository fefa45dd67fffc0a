"""Interface of the modalities in official checkpoints: tensor names, adapter sizes and presets.

Each of them implements it in the ``official.py`` of its folder; ``checkpoints/`` and the presets iterate over
:data:`onepeace_pl.modalities.OFFICIAL`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.adapter import ModalityAdapter
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.presets import preset_sizes

State = Mapping[str, Tensor]
Options = dict[str, Any]


@dataclass(frozen=True)
class Rename:
    """Official tensor names (stacked along axis 0) <-> one of our names.

    Fields in braces stand for one part of a dotted name.

    Attributes:
        official: Official names.
        ours: Our name.
        lead: Number of unit axes that come first in the official shape; -1 for an official scalar.
        beside: Our name of another tensor; only where it exists is this the way to the official name.
    """

    official: tuple[str, ...]
    ours: str
    lead: int = 0
    beside: str = ""

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """Patterns of the first official name, and of our name."""
        return _pattern(self.official[0]), _pattern(self.ours)

    def within(self, official: str, ours: str) -> Rename:
        """Return the same rule for tensors of a submodule."""
        return replace(
            self,
            official=tuple(f"{official}.{name}" for name in self.official),
            ours=f"{ours}.{self.ours}",
            beside=f"{ours}.{self.beside}" if self.beside else "",
        )

    def to_ours(self, tensors: list[Tensor]) -> Tensor:
        """Drop leading unit axes and stack."""
        flat = [t.reshape(t.shape[self.lead :]) if self.lead >= 0 else t.reshape(1) for t in tensors]
        return flat[0] if len(flat) == 1 else torch.cat(flat)

    def to_official(self, tensor: Tensor, parts: int) -> list[Tensor]:
        """Split and put the unit axes back."""
        shape = (1,) * self.lead
        return [t.reshape(shape + t.shape) if self.lead >= 0 else t.reshape(()) for t in tensor.chunk(parts)]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^.]+?)", re.escape(template)) + r"$")


class OfficialModality(ABC):
    """A modality of the released models.

    Attributes:
        name: The modality's name, ours and in official checkpoints.
        adapter: Its adapter, whose default arguments are those of the released model.
        presets: Other arguments of the adapter, by preset.
        encoder: Tensor names below ``encoder_wrapper.NAME_adapter`` and ``encoder.adapters.NAME``.
        decoder: Tensor names below ``decoder_wrapper.NAME_adapter`` and ``decoder.adapters.NAME``.
    """

    name: ClassVar[str]
    adapter: ClassVar[type[ModalityAdapter]]
    presets: ClassVar[Mapping[str, Mapping[str, int]]]
    encoder: ClassVar[tuple[Rename, ...]] = ()
    decoder: ClassVar[tuple[Rename, ...]] = ()

    def factory(self, preset: str) -> Callable[[TransformerConfig], ModalityAdapter]:
        """Return what makes the adapter in the sizes of a preset."""
        preset_sizes(preset)
        make: Callable[..., ModalityAdapter] = self.adapter
        return partial(make, **self.presets.get(preset, {}))

    @abstractmethod
    def deduce(self, state: State, decoder: State, width: int) -> Options:
        """Return the adapter's arguments that its tensors show.

        Args:
            state: The adapter's tensors under our names.
            decoder: Tensors of its decoder adapter under our names; empty without one.
            width: Size of a token.

        Raises:
            UserError: A tensor is missing, or the tensors are of no such adapter.
        """


def require(state: State, name: str) -> Tensor:
    """Return a tensor; a missing one is an error of the checkpoint."""
    if name not in state:
        raise UserError(f"the checkpoint has no {name}; it is damaged or of another model")
    return state[name]


def matching(state: State, prefix: str, rest: str = r"(\d+)$") -> set[str]:
    """Return the part of each name that follows ``prefix`` and matches ``rest``: its group, where it has one."""
    pattern = re.compile(re.escape(prefix) + rest)
    return {match[match.re.groups and 1] for name in state if (match := pattern.match(name))}


def sequence_buckets(state: State) -> Options:
    """Return the number of relative position buckets of a sequence, where the adapter has a bias table."""
    if "bias.tables.0" not in state:
        return {}
    rows = len(state["bias.tables.0"])
    if rows % 2:
        raise UserError(f"a sequence table of {rows} rows belongs to no number of buckets")
    return {"buckets": (rows - 2) // 2}
