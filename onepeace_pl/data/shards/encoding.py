"""Rows as members of a tar: encoded files as they are, arrays without loss, labels as JSON."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from onepeace_pl.data.shards.index import ROW
from onepeace_pl.data.source import Frames, Row, values_of
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ROLE, modality_of
from onepeace_pl.utils.regular_files import require_regular, shown_path

_MAGIC: Final = (
    (b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"fLaC", "flac"),
    (b"OggS", "ogg"), (b"ID3", "mp3"), (b"\xff\xfb", "mp3"), (b"RIFF", "wav"),
)  # fmt: skip


def encode_row(row: Row) -> dict[str, dict[str, bytes]]:
    """Return field -> ending -> content of a row; its id and labels are under an empty name.

    Raises:
        UserError: A value cannot be stored, or its file cannot be read.
    """
    members = {name: dict(_field(name, value)) for name, value in row.fields.items() if value is not None}
    labels: dict[str, object] = {}
    own: dict[str, bytes] = {}
    for name, value in row.labels.items():
        if name == "mask":
            content, ending = _encoded("image", value)
            own[f"{name}.{ending}"] = content
        else:
            labels[name] = value
    try:
        said = json.dumps({"id": row.id, **labels}, default=_plain, ensure_ascii=False, sort_keys=True)
    except TypeError as error:
        raise UserError(f"labels cannot be stored: {error}") from error
    own[ROW] = said.encode("utf-8", "surrogatepass")
    return {**members, "": own}


def _field(name: str, value: object) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, Frames):
        raise UserError(f"{name}: frames of a clip are drawn anew in each epoch; store the videos themselves")
    if any(role.isdecimal() for role in name.split(ROLE)[1:]):
        raise UserError(f"{name}: numbers are for several values of a field; give it another name")
    values = values_of(value)
    several = values is value
    modality = modality_of(name)
    for number, each in enumerate(values):
        content, ending = _encoded(modality, each)
        known = ENDINGS.get(f".{ending}") == modality
        parts = [*([] if known else [modality]), *name.split(ROLE)[1:], *([str(number)] if several else [])]
        yield ".".join([*parts, ending]).lower(), content


def _encoded(modality: str, value: Any) -> tuple[bytes, str]:
    """Return content and ending of one value."""
    if modality == "text" and isinstance(value, str):
        return value.encode("utf-8", "surrogatepass"), "txt"
    if isinstance(value, str | os.PathLike):
        path = Path(value)
        try:
            require_regular(path)
            content = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UserError(f"{modality}: {reason}: {shown_path(path)}") from error
        return content, path.suffix.lower().removeprefix(".") or _ending(content)
    if isinstance(value, Mapping) and value.get("bytes") is not None:
        return bytes(value["bytes"]), _ending(value["bytes"])
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), _ending(bytes(value[:4]))
    if isinstance(value, Image.Image) or (modality == "image" and _is_pixels(value)):
        image = value if isinstance(value, Image.Image) else Image.fromarray(np.asarray(value))
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue(), "png"
    if modality == "audio" and isinstance(value, tuple) and len(value) == 2:
        from scipy.io import wavfile  # libsndfile would write the time into the file

        file = io.BytesIO()
        wavfile.write(file, int(value[1]), np.asarray(value[0], np.float32).T)
        return file.getvalue(), "wav"
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return file.getvalue(), "npy"
    raise UserError(f"{modality}: a {type(value).__name__} cannot be stored; give a file, bytes or an array")


def _is_pixels(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3)


def _ending(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((ending for magic, ending in _MAGIC if content.startswith(magic)), "bin")


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON")
