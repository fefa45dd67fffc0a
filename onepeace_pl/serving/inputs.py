"""Inputs of a request: texts, and images and audio in base64, in the forms that clients of embedding APIs send.

Nothing is fetched and no file is opened: a string is a text, a data URL or base64, never an address or a path.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final

from onepeace_pl.errors import UserError
from onepeace_pl.hub import OnePeace
from onepeace_pl.modalities import RawInput
from onepeace_pl.modalities.audio.decoding import open_audio
from onepeace_pl.modalities.image.decoding import header_sizes, open_image
from onepeace_pl.serving.limits import Limits
from onepeace_pl.serving.media_types import media_type
from onepeace_pl.serving.request_error import RequestError

Item = Mapping[str, RawInput]
"""One input, decoded: a value by modality; several are fused to one vector."""

MODALITIES: Final = ("text", "image", "audio")
"""Modalities that requests may have; files of plug-ins are read by code that trusts them."""

RATE: Final = 16_000
"""Rate that is asked of audio without one, Hz."""

_PARTS: Final = {  # type of a content part -> modality and the fields that lead to its value
    "text": ("text", ("text",)),
    "input_text": ("text", ("text",)),
    "image": ("image", ("image",)),
    "image_url": ("image", ("image_url", "url")),
    "input_image": ("image", ("image_url",)),
    "audio": ("audio", ("audio",)),
    "audio_url": ("audio", ("audio_url", "url")),
    "input_audio": ("audio", ("input_audio", "data")),
}


def read_items(said: object, param: str, model: OnePeace, limits: Limits) -> list[Item]:
    """Read and decode one input or a list of them.

    Args:
        said: A text; ``{"text": ..., "image": ..., "audio": ...}`` with one or more of them; a content part such as
            ``{"type": "image_url", "image_url": {"url": "data:..."}}``; ``{"content": [part, ...]}``; or a list.
        param: Name of the field, for errors.
        model: The model that reads them.
        limits: What is refused.

    Raises:
        RequestError: An input has another form, is too large, or is no readable image or audio.
    """
    several = said if isinstance(said, list) else [said]
    if not several:
        raise RequestError(f"{param} is empty; send one or more inputs", param=param)
    if len(several) > limits.inputs:
        raise RequestError(
            f"{param} has {len(several)} inputs; send {limits.inputs} at most in one request", param=param
        )
    if isinstance(several[0], int | list):
        raise RequestError(f"{param} holds token ids, which are not read; send texts", param=param)
    return [
        read_item(each, f"{param}[{number}]" if isinstance(said, list) else param, model, limits)
        for number, each in enumerate(several)
    ]


def read_item(said: object, param: str, model: OnePeace, limits: Limits) -> Item:
    """Read and decode one input; see :func:`read_items`."""
    values = _values(said, param)
    for name in values:
        if name not in model.modalities:
            served = ", ".join(each for each in MODALITIES if each in model.modalities)
            raise RequestError(f"{param}: the model reads no {name}; it reads {served}", param=param)
    return {name: _decoded(name, value, f"{param}.{name}", limits) for name, value in values.items()}


def _values(said: object, param: str) -> dict[str, str]:
    """Return the text, or the encoded content, of each modality."""
    if isinstance(said, str):
        return {"text": said}
    if not isinstance(said, Mapping):
        raise RequestError(f"{param} must be a text or an object, not {_kind(said)}", param=param)
    if "content" in said:
        parts = said["content"]
        if isinstance(parts, str):
            return {"text": parts}
        if not isinstance(parts, Sequence) or not parts:
            raise RequestError(f"{param}.content must be a text or a list of parts", param=param)
        found: dict[str, str] = {}
        for number, part in enumerate(parts):
            name, value = _part(part, f"{param}.content[{number}]")
            if name in found:
                raise RequestError(f"{param}: two parts of {name}; send one at most", param=param)
            found[name] = value
        return found
    if "type" in said:
        return dict([_part(said, param)])
    unknown = [name for name in said if name not in MODALITIES]
    if unknown or not said:
        raise RequestError(
            f"{param}: {f'unknown field {unknown[0]!r}' if unknown else 'no field'}; it may have text, image and audio",
            param=param,
        )
    return {name: _string(value, f"{param}.{name}") for name, value in said.items()}


def _part(said: object, param: str) -> tuple[str, str]:
    """Return modality and value of a content part."""
    kind = said.get("type") if isinstance(said, Mapping) else None
    if not isinstance(kind, str) or kind not in _PARTS:
        raise RequestError(f"{param}: unknown type {kind!r}; there are {', '.join(_PARTS)}", param=param)
    name, path = _PARTS[kind]
    value: object = said
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
    return name, _string(value, f"{param}.{'.'.join(path)}")


def _string(value: object, param: str) -> str:
    if not isinstance(value, str) or not value.strip():
        kind = "an empty text" if isinstance(value, str) else _kind(value)
        raise RequestError(f"{param} is {kind}; it must be a string with content", param=param)
    return value


def _decoded(modality: str, value: str, param: str, limits: Limits) -> RawInput:
    if modality == "text":
        if not value.strip():
            raise RequestError(f"{param} is an empty text", param=param)
        if len(value) > limits.characters:
            raise RequestError(
                f"{param} has {len(value)} characters; {limits.characters} at most", param=param
            )
        return value
    content = _content(value, param)
    kind = media_type(content)
    if kind is None or not kind.startswith(f"{modality}/"):
        known = "PNG, JPEG, WebP, GIF" if modality == "image" else "WAV, FLAC, MP3, Ogg"
        raise RequestError(
            f"{param}: not {_indefinite(modality)} of a known format ({known}, ...), but "
            f"{kind or 'something else'}",
            param=param,
        )
    try:
        return _image(content, limits) if modality == "image" else _audio(content, limits)
    except UserError as error:
        raise RequestError(f"{param}: {error}", param=param) from error


def _image(content: bytes, limits: Limits) -> RawInput:
    (width, height), _ = header_sizes(content)
    if width * height > limits.pixels:
        raise UserError(f"{width} x {height} pixels; an image may have {limits.pixels:,}")
    return open_image(content)


def _audio(content: bytes, limits: Limits) -> RawInput:
    _, wave, rate = open_audio(content, RATE, limits.audio_seconds)
    return wave, rate


def _content(value: str, param: str) -> bytes:
    """Decode a data URL, or plain base64."""
    scheme = value[:8].lower()
    if scheme.startswith(("http:", "https:", "file:", "ftp:")):
        raise RequestError(
            f"{param}: addresses are not fetched; send the content as a data URL (data:image/png;base64,...)",
            param=param,
        )
    encoded = value
    if scheme.startswith("data:"):
        head, comma, encoded = value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise RequestError(f"{param}: a data URL without ;base64, and content", param=param)
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{param}: neither a data URL nor base64 ({error})", param=param) from error


def _kind(value: object) -> str:
    names = {type(None): "missing", bool: "a truth value", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")


def _indefinite(modality: str) -> str:
    return "an image" if modality == "image" else "audio"
