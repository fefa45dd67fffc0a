"""Resampling of audio: sinc interpolation with a Hann window."""

from __future__ import annotations

import math
from typing import Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from onepeace_pl.utils.libraries import importing

_ZEROS, _ROLLOFF = 6, 0.99  # torchaudio's: zero crossings of the sinc on each side, share of the pass band
_LARGEST_TABLE: Final = 1 << 22
_CHUNK: Final = 1 << 22


@runtime_checkable
class Resamples(Protocol):
    """A processor that can resample.

    Attributes:
        resample: Whether audio of another rate is resampled; otherwise it is an error.
    """

    resample: bool


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """Return a waveform (N,) of `rate` at `target`, both in Hz.

    torchaudio's kernels take ``rate * target / gcd**2`` numbers, 2.8 GB for 44,101 to 16,000 Hz. Where they are
    many, the same is computed sample by sample.
    """
    common = math.gcd(rate, target)
    if rate // common * (target // common) > _LARGEST_TABLE:
        return _without_table(wave, rate // common, target // common)
    with importing():
        from torchaudio.functional import resample as by_table

    resampled: Tensor = by_table(wave, rate, target)
    return resampled


def _without_table(wave: Tensor, rate: int, target: int) -> Tensor:
    cutoff = min(rate, target) * _ROLLOFF
    reach = math.ceil(_ZEROS * rate / cutoff)
    offsets = torch.arange(-reach, reach + 2)
    padded = torch.nn.functional.pad(wave, (reach, reach + 2)).double()
    count = -(-target * len(wave) // rate)
    parts = []
    for places in torch.split(torch.arange(count), max(1, _CHUNK // len(offsets))):
        nearest = places * rate // target
        behind = (places * rate - nearest * target).double() / target  # 0..1 samples after the nearest
        time = ((offsets - behind[:, None]) * (cutoff / rate)).clamp(-_ZEROS, _ZEROS)
        kernel = torch.sinc(time) * torch.cos(time * (math.pi / _ZEROS / 2)).square() * (cutoff / rate)
        parts.append((padded[nearest[:, None] + offsets + reach] * kernel).sum(1).to(wave.dtype))
    return torch.cat(parts)
