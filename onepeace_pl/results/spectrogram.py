"""Spectrogram of a sound for display. Shapes: N samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spectrogram(samples: Sequence[float] | NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Compute a spectrogram for display.

    Args:
        samples: (N,) waveform.
        rate: Hz.

    Returns:
        (128, time) decibels below the loudest point, highest pitch first, octaves equally high from 60 Hz up
        to half the rate, at most 300 columns.
    """
    wave = np.asarray(samples, dtype=np.float32)
    size = 1024
    wave = np.pad(wave, (size // 2, size // 2 + max(0, size - len(wave))))
    hop = max(len(wave) // 300, 64)
    starts = np.arange(0, len(wave) - size + 1, hop)
    frames = wave[starts[:, None] + np.arange(size)] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    pitch = np.geomspace(rate / 2, 60, 128)
    bins = np.clip((pitch * size / rate).round().astype(int), 0, size // 2)
    decibels = 10 * np.log10(power[:, bins].T + 1e-10)
    shown: NDArray[np.float32] = np.clip(decibels - decibels.max(), -60, 0).astype(np.float32)
    return shown


def coloured(levels: NDArray[np.float32], low: float = -60.0) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) of levels (H, W) from `low` to 0: black, purple, orange, pale yellow."""
    shades = np.array([(0, 0, 4), (80, 18, 123), (183, 55, 121), (252, 137, 97), (252, 253, 191)], np.float32)
    places = (1 - levels / low) * (len(shades) - 1)
    channels = [np.interp(places, np.arange(len(shades)), shade) for shade in shades.T]
    return np.stack(channels, -1).round().astype(np.uint8)
