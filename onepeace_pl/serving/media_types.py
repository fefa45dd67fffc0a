"""Media types of image and audio files by their first bytes."""

from __future__ import annotations

from typing import Final

HEAD: Final = 16
"""Number of first bytes that tell the type."""

_SIGNATURES: Final = (  # (offset, bytes), all of which must be there
    (((0, b"\x89PNG\r\n\x1a\n"),), "image/png"),
    (((0, b"\xff\xd8\xff"),), "image/jpeg"),
    (((0, b"GIF8"),), "image/gif"),
    (((0, b"RIFF"), (8, b"WEBP")), "image/webp"),
    (((4, b"ftypavif"),), "image/avif"),
    (((4, b"ftyphei"),), "image/heic"),
    (((4, b"ftyphev"),), "image/heic"),
    (((4, b"ftypmif1"),), "image/heic"),
    (((4, b"ftypmsf1"),), "image/heic"),
    (((0, b"II*\0"),), "image/tiff"),
    (((0, b"MM\0*"),), "image/tiff"),
    (((0, b"BM"),), "image/bmp"),
    (((0, b"RIFF"), (8, b"WAVE")), "audio/wav"),
    (((0, b"fLaC"),), "audio/flac"),
    (((0, b"OggS"),), "audio/ogg"),
    (((0, b"ID3"),), "audio/mpeg"),
    (((0, b"\xff\xfb"),), "audio/mpeg"),
    (((0, b"\xff\xfa"),), "audio/mpeg"),
    (((0, b"\xff\xf3"),), "audio/mpeg"),
    (((0, b"\xff\xf2"),), "audio/mpeg"),
    (((0, b"\xff\xf1"),), "audio/aac"),
    (((0, b"\xff\xf9"),), "audio/aac"),
    (((4, b"ftyp"),), "audio/mp4"),
    (((0, b"\x1aE\xdf\xa3"),), "audio/webm"),
    (((0, b"FORM"), (8, b"AIF")), "audio/aiff"),
)

SHOWN_BY_BROWSERS: Final = {
    *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "audio/aac", "audio/mp4", "audio/webm"),
}
"""Types that a browser shows or plays as they are."""


def media_type(head: bytes) -> str | None:
    """Return the type that the first bytes of a file tell, such as ``image/png``; None for any other."""
    for parts, name in _SIGNATURES:
        if all(head[offset : offset + len(part)] == part for offset, part in parts):
            return name
    return None
