"""Audio preprocessing to normalised 16 kHz waveforms. Shapes: B batch, N samples, T frames, T + 1 tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.audio.decoding import LOUDEST, AudioInput, is_audio_pair, open_audio
from onepeace_pl.modalities.audio.resampling import resample
from onepeace_pl.modalities.base import ModalityInput, ModalitySample, Processor
from onepeace_pl.modalities.files import is_encoded
from onepeace_pl.modalities.truncation import Truncations

Silence = Literal["raise", "keep"]
FRONT_END = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""Kernel and stride of the front end's convolutions: a hop of 320 samples, a field of 400."""


def count_frames(samples: int, front_end: Sequence[tuple[int, int]] = FRONT_END) -> int:
    """Return how many frames the front end makes of so many samples (no padding in its convolutions)."""
    for kernel, stride in front_end:
        samples = (samples - kernel) // stride + 1
    return max(samples, 0)


class AudioProcessor(Processor):
    """Resamples and normalises audio to a mono waveform (N,).

    Audio is :data:`~onepeace_pl.modalities.AudioInput`; an array without a rate already has the processor's. Two
    dimensions are channels and samples, in either order (the shorter one is the channels); channels are
    averaged.

    Args:
        max_seconds: Keep the first so many seconds. Cuts are counted and warned about.
        min_seconds: A shorter clip is repeated and cut to exactly this length.
        rate: Samples a second, Hz.
        resample: Convert other rates. Otherwise they are an error, since resampling is never done in silence.
        front_end: Kernel and stride of each convolution of the adapter's front end; gives the number of frames.
        silence: Handling of clips whose samples are all equal: "raise", or "keep" them as zeros, as the original
            does; the published counts of benchmarks include such clips.

    Attributes:
        truncations: Counts of truncated inputs in this process.
    """

    def __init__(
        self,
        max_seconds: float = 15.0,
        min_seconds: float = 1.0,
        rate: int = 16_000,
        resample: bool = False,
        front_end: Sequence[tuple[int, int]] = FRONT_END,
        silence: Silence = "raise",
    ) -> None:
        if silence not in get_args(Silence):
            raise UserError(f"silence={silence!r} is unknown; choose from {', '.join(get_args(Silence))}")
        if not 0 < min_seconds <= max_seconds:
            raise UserError(
                f"min_seconds={min_seconds} must be above 0 and at most max_seconds={max_seconds}"
            )
        self.max_seconds = max_seconds
        self.min_seconds = min_seconds
        self.rate = rate
        self.resample = resample
        self.silence = silence
        self.front_end = tuple((int(kernel), int(stride)) for kernel, stride in front_end)
        self.truncations = Truncations()
        if count_frames(int(min_seconds * rate), self.front_end) < 1:
            raise UserError(f"min_seconds={min_seconds} gives not one frame; raise it")

    def __call__(
        self, raw: AudioInput, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        """Prepare one clip: mean of channels, layer norm over the whole clip (eps 1e-5), then cut or repeat.

        Raises:
            TypeError: If `raw` is no audio.
            UserError: If a file is missing, unreadable or longer than 2**27 samples, the rate differs and
                `resample` is off, or the audio is empty, silent, not finite or far too loud.
        """
        name, wave = self._read(raw)
        most = int(self.max_seconds * self.rate)
        if len(wave) > most:
            seconds = len(wave) / self.rate
            self.truncations.note(
                f"{name}: {seconds:.2f} s were cut to the first {self.max_seconds:g} s (max_seconds)"
            )
            wave = wave[:most].clone()
        return self._sample(wave)

    def windows(self, raw: AudioInput) -> list[ModalitySample]:
        """Prepare all of a clip, as windows of `max_seconds`.

        They are as few as cover the clip, evenly spaced, so that they overlap where it is no multiple of their
        length. Errors are those of a call.
        """
        _, wave = self._read(raw)
        most = int(self.max_seconds * self.rate)
        last = -(-len(wave) // most) - 1
        starts = [k * (len(wave) - most) // last for k in range(last + 1)] if last > 0 else [0]
        return [self._sample(wave[start : start + most].clone()) for start in starts]

    def _read(self, raw: AudioInput) -> tuple[str, Tensor]:
        """Return a name for messages, and the whole waveform, normalised."""
        name, wave, rate = open_audio(raw, self.rate)
        _check(name, wave, self.silence)
        if rate != self.rate:
            if not self.resample:
                raise UserError(
                    f"{name}: {rate} Hz instead of {self.rate}; convert it, or set resample: true"
                )
            wave = resample(wave, rate, self.rate)
        return name, F.layer_norm(wave, wave.shape)

    def _sample(self, wave: Tensor) -> ModalitySample:
        least = int(self.min_seconds * self.rate)
        if len(wave) < least:
            wave = wave.repeat(-(-least // len(wave)))[:least]
        return ModalitySample(wave, count_frames(len(wave), self.front_end))

    def is_single(self, value: object) -> bool:
        """Return whether a value is one encoded file, a row of a dataset, or an array with its rate."""
        return is_audio_pair(value) or is_encoded(value)

    def collate(self, samples: Sequence[ModalitySample]) -> ModalityInput:
        """Pad with zeros on the right: (B, N), padding (B, T + 1) with the CLS token first."""
        longest = max(len(sample.values) for sample in samples)
        values = torch.zeros(len(samples), longest)
        for row, sample in zip(values, samples, strict=True):
            row[: len(sample.values)] = sample.values
        lengths = torch.tensor([sample.length for sample in samples])
        frames = count_frames(longest, self.front_end)
        if bool((lengths == frames).all()):
            return ModalityInput(values)
        return ModalityInput(values, torch.arange(frames + 1) > lengths[:, None])


def _check(name: str, wave: Tensor, silence: Silence) -> None:
    problem = ""
    low, high = map(float, torch.aminmax(wave)) if len(wave) else (0.0, 0.0)  # NaN where there is one
    if not len(wave):
        problem = "empty audio"
    elif not math.isfinite(low + high):
        problem = "samples that are not finite"
    elif max(-low, high) > LOUDEST:
        problem = f"samples of up to {max(-low, high):.1g}, which should lie in -1..1"
    elif silence == "raise" and low == high:
        problem = "silent audio (all samples are equal; silence: keep lets it through)"
    if problem:
        raise UserError(f"{name}: {problem}; replace it or leave it out")
