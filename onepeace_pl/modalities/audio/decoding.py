"""Audio decoding: any source -> one channel. A broken file is a ``UserError``, whatever the decoder raises.

Shapes: N samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import importing
from onepeace_pl.utils.regular_files import require_regular, shown_path

Waveform = np.ndarray[Any, Any] | Tensor
AudioInput = str | Path | Waveform | tuple[Waveform, float]
"""Path, array or tensor at the processor's rate, or ``(array, rate in Hz)``."""

RATES: Final = (1_000, 768_000)
"""Lowest and highest rate of audio that is to be resampled, Hz."""

MOST_SAMPLES: Final = 1 << 27
"""Samples of audio, as stored and resampled: 46 minutes at 48 kHz. All of it is normalised together."""

LOUDEST: Final = 1e12
"""Samples are meant to lie in -1..1; normalising much greater ones overflows."""

_MOST_CHANNELS: Final = 64
_BLOCK: Final = 1 << 20  # samples of all channels that are decoded at a time


def open_audio(raw: AudioInput, rate: int) -> tuple[str, Tensor, int]:
    """Return a name for messages, the mono waveform (N,) float32, and its rate.

    Args:
        raw: Path, ``(array, rate)``, or an array or tensor with `rate`; channels and samples in either order.
        rate: Rate that is wanted, Hz; any other must lie within :data:`RATES`.

    Raises:
        TypeError: If `raw` is no audio.
        UserError: If a file is missing, unreadable or too long, or its rate or channels cannot be.
    """
    if isinstance(raw, str | Path):
        return shown_path(raw), *_read_file(raw, rate)
    given: float = rate
    if (
        isinstance(raw, tuple | list)
        and len(raw) == 2
        and isinstance(raw[1], int | float | np.integer | np.floating)
    ):
        raw, given = raw
        _check_rate("audio", given, rate)
    if not isinstance(raw, np.ndarray | Tensor):
        raise TypeError(f"audio must be a path, (array, rate), array or tensor, got {type(raw).__name__}")
    wave = torch.as_tensor(raw).detach().cpu()
    if not wave.is_floating_point():
        raise TypeError(
            f"audio samples must be floats in -1..1, got {wave.dtype}; divide integers by their range"
        )
    if wave.dim() not in (1, 2):
        raise UserError(f"audio must be (samples,) or (channels, samples), got {list(wave.shape)}")
    wave = wave.to(torch.float32)
    if wave.dim() == 2:
        wave = wave.mean(dim=0 if wave.shape[0] <= wave.shape[1] else 1)
    return f"audio of {list(raw.shape)} samples", wave, int(given)


def _read_file(path: str | Path, wanted: int) -> tuple[Tensor, int]:
    with importing():
        import soundfile

    with _decoding(path):
        require_regular(path)
        file = soundfile.SoundFile(str(path))
    with file:
        rate, channels = int(file.samplerate), int(file.channels)
        _check_rate(str(path), rate, wanted)
        if channels > _MOST_CHANNELS:
            raise UserError(
                f"{path}: {channels} channels; leave the row out, or keep {_MOST_CHANNELS} or fewer"
            )
        most = MOST_SAMPLES * min(1.0, rate / wanted)
        blocks, length = [torch.zeros(0)], 0
        while length <= most:  # block by block: a broken header promises any length
            with _decoding(path):
                block = file.read(_BLOCK // channels, dtype="float32", always_2d=True)
            if not len(block):
                return torch.cat(blocks), rate
            length += len(block)
            blocks.append(torch.from_numpy(block).mean(dim=1))
    raise UserError(f"{path}: longer than {most / rate / 60:.0f} minutes; cut it, or leave the row out")


@contextmanager
def _decoding(path: str | Path) -> Iterator[None]:
    """Turn errors of a decoder into user errors; decoders fail in any way."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(
            f"{shown_path(path)}: no such audio; check the path and the data set's root"
        ) from error
    except Exception as error:
        reason = shown_path(" ".join(str(error).split())) or type(error).__name__
        raise UserError(
            f"{shown_path(path)}: unreadable audio ({reason}); convert it to wav or flac, or leave the row out"
        ) from error


def _check_rate(name: str, given: float, wanted: int) -> None:
    low, high = RATES
    if given != wanted and not (low <= given <= high and given == int(given)):
        raise UserError(f"{name}: a rate of {given:g} Hz; it must be a whole number from {low} to {high}")
