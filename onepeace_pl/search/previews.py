"""Previews of files: thumbnails of images, and the first seconds of audio, in formats that every browser shows."""

from __future__ import annotations

import io
from typing import Final

from onepeace_pl.modalities.audio.decoding import open_audio
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.utils.libraries import importing

THUMBNAIL: Final = 320
"""Longer side of a thumbnail, pixels."""

SECONDS: Final = 20
"""Longest audio of a player."""

RATE: Final = 16_000
"""Rate that is asked of a file without one, Hz."""


def thumbnail(path: str) -> bytes:
    """Return a small JPEG of an image file.

    Raises:
        UserError: The file is missing or unreadable.
    """
    image = open_image(path)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def first_seconds(path: str) -> bytes:
    """Return the first seconds of an audio file in one channel, as WAV.

    Raises:
        UserError: The file is missing or unreadable.
    """
    with importing():
        import soundfile
    _, wave, rate = open_audio(path, RATE)
    file = io.BytesIO()
    soundfile.write(file, wave[: SECONDS * rate].numpy(), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
