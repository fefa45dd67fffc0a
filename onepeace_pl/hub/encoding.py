"""From raw items to vectors: samples of each item, batches of equal length, forward passes.

Shapes: B rows of a batch, L tokens of an item, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.backbone.fusion import normalised_sum
from onepeace_pl.errors import UserError
from onepeace_pl.hub.calibration import Calibration, joint_name
from onepeace_pl.hub.inputs import check_modalities
from onepeace_pl.hub.preparation import batches
from onepeace_pl.modalities import ModalityInput, ModalitySample, Processor, RawInput
from onepeace_pl.modalities.audio.resampling import Resamples
from onepeace_pl.modalities.truncation import CountsTruncations, LongAudio, SplitsLong

Sample: TypeAlias = Mapping[str, ModalitySample]
PreparedItem: TypeAlias = Sequence[Sample] | Exception
"""Samples of an item: one, or one for each window of long audio; or the error of one that cannot be read."""

Embed: TypeAlias = Callable[[Mapping[str, ModalityInput]], list[Tensor] | Tensor]
"""Forward pass of a batch: vectors (B, D), or B times (L, D)."""


def with_resampling(processor: Processor, resample: bool) -> Processor:
    """Return a processor that resamples audio, or raises instead; the one given stays as it was in training."""
    if not isinstance(processor, Resamples) or processor.resample == resample:
        return processor
    changed = copy.copy(processor)
    changed.resample = resample
    return changed


@dataclass(frozen=True)
class ItemPreparation:
    """Preprocessing of an item; may be called by several threads, and sent to other processes.

    Attributes:
        vocabularies: Number of tokens of each modality that the model has; None of one without tokens.
        processors: Processors by modality.
        long_audio: Cut long audio, or return a sample of each window.
    """

    vocabularies: Mapping[str, int | None]
    processors: Mapping[str, Processor]
    long_audio: LongAudio

    @classmethod
    def of(cls, backbone: Backbone, processors: Mapping[str, Processor], long_audio: LongAudio) -> Self:
        """Return the preprocessing for a backbone."""
        vocabularies = {name: backbone.encoder.adapter(name).vocabulary for name in backbone.modalities}
        return cls(vocabularies, processors, long_audio)

    def count_truncations(self, counts: Mapping[str, int]) -> None:
        """Count what was truncated in other processes, too."""
        for name, processor in self.processors.items():
            if isinstance(processor, CountsTruncations):
                processor.truncations.count += counts.get(name, 0)

    @torch.no_grad()  # of the thread
    def prepare(self, item: Mapping[str, RawInput]) -> Sequence[Sample]:
        """Return the samples of an item, raw values by modality.

        Raises:
            TypeError: A value is of no type that the modality reads.
            UserError: A value cannot be used.
        """
        parts = {name: self._samples(name, raw) for name, raw in item.items()}
        count = max(map(len, parts.values()))
        return [
            {name: several[k if len(several) > 1 else 0] for name, several in parts.items()}
            for k in range(count)
        ]

    def attempt(self, item: Mapping[str, RawInput]) -> PreparedItem:
        """Return the samples of an item, or the error that it causes."""
        try:
            check_modalities(item, self.processors, tuple(self.vocabularies))
            return self.prepare(item)
        except (ValueError, TypeError, OSError) as error:  # anything else is a mistake of ours
            return error

    def _samples(self, name: str, raw: RawInput) -> Sequence[ModalitySample]:
        processor = self.processors[name]
        if self.long_audio == "mean" and isinstance(processor, SplitsLong):
            return processor.windows(raw)
        sample = processor(raw)
        rows = self.vocabularies[name]
        if rows is not None and int(sample.values.max()) >= rows:
            raise UserError(
                f"{name} {str(raw)[:40]!r} has the token {int(sample.values.max())}, the model knows {rows};"
                " the tokenizer is of another model"
            )
        return [sample]


def modalities_of(item: PreparedItem) -> Iterable[str]:
    """Return the modalities of a prepared item; none of one that cannot be read."""
    return () if isinstance(item, Exception) else item[0]


def embed_items(
    items: Sequence[PreparedItem],
    embed: Embed,
    processors: Mapping[str, Processor],
    device: torch.device,
    batch_size: int,
) -> list[Tensor | Exception]:
    """Return what ``embed`` makes of each item, float32 on the CPU; errors stay.

    Args:
        items: Prepared items.
        embed: Forward pass.
        processors: Processors by modality, which collate samples.
        device: Device of the forward pass.
        batch_size: Samples per forward pass, at most; those of a batch have equal lengths.
    """
    parts = {i: found for i, found in enumerate(items) if not isinstance(found, Exception)}
    samples = {(i, k): sample for i, several in parts.items() for k, sample in enumerate(several)}
    lengths = {
        key: tuple((name, part.length) for name, part in each.items()) for key, each in samples.items()
    }
    embedded: dict[tuple[int, int], Tensor] = {}
    for keys in batches(lengths, batch_size):
        rows = {name: [samples[key][name] for key in keys] for name in samples[keys[0]]}
        inputs = {name: _collate(processors[name], each, device) for name, each in rows.items()}
        embedded |= {key: row.float().cpu() for key, row in zip(keys, embed(inputs), strict=True)}
    return [
        found if isinstance(found, Exception) else _mean([embedded[i, k] for k in range(len(found))])
        for i, found in enumerate(items)
    ]


def embed_calibrated(
    backbone: Backbone,
    inputs: Mapping[str, ModalityInput],
    fuse: Fuse | None = None,
    calibration: Calibration | None = None,
) -> Tensor:
    """Return one vector (B, D) for each row, calibrated before vectors are summed or after a joint pass."""
    if calibration is None:
        return backbone.embed_fused(inputs, fuse)
    if len(inputs) > 1 and (fuse or backbone.default_fuse(inputs)) == "joint":
        return calibration.transform(joint_name(inputs), backbone.embed_jointly(inputs))
    parts = [calibration.transform(name, rows) for name, rows in backbone.embed(inputs).items()]
    return normalised_sum(parts) if len(parts) > 1 else parts[0]


def _collate(processor: Processor, rows: Sequence[ModalitySample], device: torch.device) -> ModalityInput:
    field = processor.collate(rows)
    padding = None if field.padding is None else field.padding.to(device)
    return replace(field, values=field.values.to(device), padding=padding)


def _mean(rows: Sequence[Tensor]) -> Tensor:
    """Return the normalised mean of the vectors of an item's windows; what there is one of as it is."""
    return rows[0] if len(rows) == 1 else torch.nn.functional.normalize(torch.stack([*rows]).mean(0), dim=-1)
