"""Audio decoding: any source -> one channel. A broken file is a ``UserError``, whatever the decoder raises.

Shapes: N samples.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeGuard

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.audio import ffmpeg
from onepeace_pl.modalities.files import EncodedFile, is_encoded, path_or_bytes
from onepeace_pl.utils.libraries import LibraryError, importing
from onepeace_pl.utils.regular_files import require_regular, shown_path

Waveform = np.ndarray[Any, Any] | Tensor
AudioInput = EncodedFile | Waveform | tuple[Waveform, float] | tuple[float, Waveform]
"""Path, encoded bytes or open file; array or tensor at the processor's rate; ``(array, rate in Hz)`` or, as of scipy
and gradio, ``(rate, array)``; ``{"array": ..., "sampling_rate": ...}`` or ``{"path": ..., "bytes": ...}`` of Hugging
Face datasets."""

RATES: Final = (1_000, 768_000)
"""Lowest and highest rate of audio that is to be resampled, Hz."""

MOST_SAMPLES: Final = 1 << 27
"""Samples of audio, as stored and resampled: 46 minutes at 48 kHz. All of it is normalised together."""

LOUDEST: Final = 1e12
"""Samples are meant to lie in -1..1; normalising much greater ones overflows."""

_MOST_CHANNELS: Final = 64
_BLOCK: Final = 1 << 20  # samples of all channels that are decoded at a time
_FULL_SCALE: Final = {torch.int16: 2.0**15, torch.int32: 2.0**31}  # as libsndfile scales


def open_audio(raw: AudioInput, rate: int, max_seconds: float | None = None) -> tuple[str, Tensor, int]:
    """Return a name for messages, the mono waveform (N,) float32, and its rate.

    Args:
        raw: The audio; channels and samples in either order. Integers of 16 and 32 bits are scaled to -1..1.
        rate: Rate that is wanted, Hz, and that of an array alone; any other must lie within :data:`RATES`.
        max_seconds: Longest file that is accepted, with :data:`MOST_SAMPLES` in any case; no more is decoded.

    Raises:
        TypeError: If `raw` is no audio.
        UserError: If a file is missing, unreadable or too long, or its rate or channels cannot be.
    """
    given: float = rate
    samples: object = raw
    if isinstance(raw, Mapping) and "array" in raw:
        samples, given = _of_row(raw, rate)
    elif is_encoded(raw):
        file = path_or_bytes(raw, "audio")
        name = f"audio of {len(file)} bytes" if isinstance(file, bytes) else shown_path(file)
        return name, *_read_file(file, name, rate, max_seconds)
    elif isinstance(raw, tuple | list) and len(raw) == 2:
        first, second = raw
        if _is_number(second):
            samples, given = first, second
        elif _is_number(first):
            samples, given = second, first
    _check_rate("audio", given, rate)
    if not isinstance(samples, np.ndarray | Tensor):
        raise TypeError(
            f"audio must be a path, bytes, file, array, tensor or (array, rate), got {type(samples).__name__}"
        )
    wave = torch.as_tensor(samples).detach().cpu()
    if wave.dtype in _FULL_SCALE:
        wave = wave.double() / _FULL_SCALE[wave.dtype]
    if not wave.is_floating_point():
        raise TypeError(
            f"audio samples must be floats in -1..1 or integers of 16 or 32 bits, got {wave.dtype}; divide "
            "integers by their range"
        )
    if wave.dim() not in (1, 2):
        raise UserError(f"audio must be (samples,) or (channels, samples), got {list(wave.shape)}")
    wave = wave.to(torch.float32)
    if wave.dim() == 2:
        wave = wave.mean(dim=0 if wave.shape[0] <= wave.shape[1] else 1)
    return f"audio of {list(samples.shape)} samples", wave, int(given)


def is_audio_pair(value: object) -> bool:
    """Return whether a value is ``(array, rate)`` or ``(rate, array)``."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return any(
        isinstance(wave, np.ndarray | Tensor) and _is_number(rate) for wave, rate in (value, value[::-1])
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.integer | np.floating)


def _of_row(row: Mapping[str, object], rate: int) -> tuple[Any, float]:
    array, given = row["array"], row.get("sampling_rate", rate)
    if not _is_number(given):
        raise UserError(f"audio: sampling_rate={given!r} is no rate in Hz")
    return (np.asarray(array, np.float32) if isinstance(array, list) else array), given


def _read_file(
    file: str | Path | bytes, name: str, wanted: int, max_seconds: float | None
) -> tuple[Tensor, int]:
    with _decoding(name):
        if not isinstance(file, bytes):
            require_regular(file)
        for_ffmpeg = ffmpeg.is_for_ffmpeg(file)
        rate, channels, blocks = ffmpeg.decode(file) if for_ffmpeg else _libsndfile(file)
    _check_rate(name, rate, wanted)
    if channels > _MOST_CHANNELS:
        raise UserError(f"{name}: {channels} channels; leave it out, or keep {_MOST_CHANNELS} or fewer")
    most = MOST_SAMPLES * min(1.0, rate / wanted)
    if max_seconds is not None:
        most = min(most, max_seconds * rate)
    parts, length = [torch.zeros(0)], 0
    while length <= most:  # block by block: a broken header promises any length
        with _decoding(name):
            block = next(blocks, None)
        if block is None:
            return torch.cat(parts), rate
        length += len(block)
        parts.append(block.mean(dim=1))
    limit = f"{most / rate / 60:.0f} minutes" if most >= 120 * rate else f"{most / rate:g} seconds"
    raise UserError(f"{name}: longer than {limit}; cut it, or leave it out")


def _libsndfile(file: str | Path | bytes) -> tuple[int, int, Iterator[Tensor]]:
    """Return rate, number of channels, and blocks (N, C) float32."""
    with importing():
        import soundfile

    opened = soundfile.SoundFile(io.BytesIO(file) if isinstance(file, bytes) else str(file))
    channels = int(opened.channels)

    def blocks() -> Iterator[Tensor]:
        with opened:
            while len(block := opened.read(_BLOCK // channels, dtype="float32", always_2d=True)):
                yield torch.from_numpy(block)

    return int(opened.samplerate), channels, blocks()


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn errors of a decoder into user errors; decoders fail in any way."""
    try:
        yield
    except LibraryError:  # the machine's fault, not the file's
        raise
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such audio; check the path, or the root of the data set") from error
    except Exception as error:
        reason = shown_path(" ".join(str(error).split())) or type(error).__name__
        raise UserError(
            f"{name}: unreadable audio ({reason}); convert it to wav or flac, or leave it out"
        ) from error


def _check_rate(name: str, given: float, wanted: int) -> None:
    low, high = RATES
    if given != wanted and not (low <= given <= high and given == int(given)):
        raise UserError(f"{name}: a rate of {given:g} Hz; it must be a whole number from {low} to {high}")
