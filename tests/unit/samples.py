"""A small backbone of four modalities, one of them a plug-in, and random inputs for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig
from onepeace_pl.data.batches import Batch
from onepeace_pl.modalities import (
    OFFICIAL,
    Mask,
    ModalityInput,
    SequenceAdapter,
)
from onepeace_pl.modalities.audio.processor import count_frames
from onepeace_pl.modalities.masking import build_mask
from onepeace_pl.training.evaluators import Evaluator

ALL = ("text", "image", "audio", "touch")
LENGTHS = {"text": (9, 4, 6), "image": (16, 16, 16), "audio": (12, 7, 12), "touch": (5, 8, 3)}


class Unmeasured(Evaluator):
    """Takes in batches and has no metrics."""

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None: ...

    def compute(self) -> dict[str, float]:
        return {}


class Touch(SequenceAdapter):
    """A plug-in: (B, L - 1, 3) pressures."""

    def __init__(self, config: TransformerConfig, max_tokens: int = 20, buckets: int = 8) -> None:
        super().__init__(config, max_tokens, buckets)
        self.embed = nn.Linear(3, config.width)
        self.reset_parameters()

    def stem(self, values: Tensor) -> Tensor:
        return self.embed(values)


ADAPTERS = {
    "text": OFFICIAL["text"].factory("debug"),
    "image": OFFICIAL["image"].factory("debug"),
    "audio": OFFICIAL["audio"].factory("debug"),
    "touch": Touch,
}


def make(
    modalities: Sequence[str] = ALL, decoder: bool = True, noise: float = 0.1, **options: Any
) -> Backbone:
    """A debug backbone of which every parameter matters; ``options`` are the encoder's, stage and fusion."""
    torch.manual_seed(0)
    stage = options.pop("stage", "vision_language")
    hide_padding = options.pop("hide_padding", True)
    fuse, joint = options.pop("fuse", "sum"), options.pop("joint", ())
    adapters = options.pop("adapters", {name: ADAPTERS[name] for name in modalities})
    small = DecoderConfig(depth=None if decoder else 0, hide_padding=hide_padding)
    backbone = Backbone(adapters, TransformerConfig("debug", **options), small, stage, fuse, joint=joint)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * noise)
        backbone.logit_scale.fill_(2.0)
    return backbone


def padding_of(lengths: Sequence[int]) -> Tensor | None:
    """(B, L) bool with CLS, or None where all are as long."""
    slots = torch.arange(max(lengths) + 1)
    padding = slots > torch.tensor(lengths)[:, None]
    return padding if bool(padding.any()) else None


def field(name: str, rows: Sequence[int] = (0, 1, 2), lengths: Sequence[int] | None = None) -> ModalityInput:
    """Rows of one modality, padded to the longest; each row is the same in whatever batch it comes."""
    counts = lengths or [LENGTHS[name][row] for row in rows]
    longest, values = max(counts), []
    for row, count in zip(rows, counts, strict=True):
        generator = torch.Generator().manual_seed(10 * row + ALL.index(name))
        if name == "text":
            ids = torch.randint(4, 500, (count,), generator=generator)
            ids[-1] = 2
            values.append(torch.cat([ids, ids.new_ones(longest - count)]))
        elif name == "image":
            values.append(torch.randn(3, 64, 64, generator=generator))
        elif name == "audio":
            wave = torch.randn(samples(count), generator=generator)
            values.append(torch.cat([wave, wave.new_zeros(samples(longest) - len(wave))]))
        else:
            pressure = torch.randn(count, 3, generator=generator)
            values.append(torch.cat([pressure, pressure.new_zeros(longest - count, 3)]))
    return ModalityInput(torch.stack(values), padding_of(counts))


def samples(frames: int) -> int:
    """Shortest waveform with so many frames."""
    length = 400 + 320 * (frames - 1)
    assert count_frames(length) == frames
    return length


def fields(names: Sequence[str] = ALL, rows: Sequence[int] = (0, 1, 2)) -> dict[str, ModalityInput]:
    return {name: field(name, rows) for name in names}


def hide(name: str, rows: Sequence[int] = (0, 1, 2), share: float = 0.4) -> Mask:
    """A mask of which each row is the same in whatever batch it comes; rows keep different numbers."""
    counts = [LENGTHS[name][row] for row in rows]
    hidden = torch.zeros(len(rows), max(counts) + 1, dtype=torch.bool)
    for at, (row, count) in enumerate(zip(rows, counts, strict=True)):
        generator = torch.Generator().manual_seed(row)
        number = int(share * count) + row % 2
        hidden[at, 1 + torch.randperm(count, generator=generator)[:number]] = True
    return build_mask(hidden, padding_of(counts))


def real(rows: Tensor, padding: Tensor | None) -> Tensor:
    """Rows (N, D) that are no padding."""
    return rows.flatten(0, 1) if padding is None else rows[~padding]
