"""Audio that libsndfile cannot read (m4a, webm, wma), decoded by PyAV where it is installed.

Shapes: C channels, N samples.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

_SIGNATURES: Final = (  # offset and first bytes
    (4, b"ftyp"),  # m4a, mp4, mov, 3gp
    (0, b"\x1aE\xdf\xa3"),  # webm, mkv
    (0, b"0&\xb2u\x8ef\xcf\x11"),  # wma
    (0, b"\xff\xf1"),  # raw AAC
    (0, b"\xff\xf9"),
)


def is_for_ffmpeg(raw: str | Path | bytes) -> bool:
    """Return whether a file or its bytes begin as one that FFmpeg reads and libsndfile does not."""
    if isinstance(raw, bytes):
        head = raw[:16]
    else:
        with open(raw, "rb") as file:
            head = file.read(16)
    return any(head[offset : offset + len(start)] == start for offset, start in _SIGNATURES)


def decode(raw: str | Path | bytes) -> tuple[int, int, Iterator[Tensor]]:
    """Return rate, number of channels, and blocks (N, C) float32 of the first audio stream.

    Raises:
        ValueError: PyAV is not installed, or there is no audio.
    """
    try:
        import av
    except ImportError as error:
        raise ValueError("m4a, webm, wma and aac need PyAV: pip install 'onepeace-pl[video]'") from error

    container = av.open(io.BytesIO(raw) if isinstance(raw, bytes) else str(raw))
    if not container.streams.audio:
        container.close()
        raise ValueError("no audio in it")
    stream = container.streams.audio[0]

    def blocks() -> Iterator[Tensor]:
        with container:
            resampler = av.AudioResampler(format="fltp")  # any sample format -> float planes
            for frame in container.decode(stream):
                yield from (torch.from_numpy(each.to_ndarray()).T for each in resampler.resample(frame))

    return int(stream.rate), int(stream.channels), blocks()
