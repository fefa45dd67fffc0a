"""Content digests, by which duplicate items are recognised. Shapes: B rows of a batch."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from onepeace_pl.data.source import values_of
from onepeace_pl.modalities.base import ModalitySample

_PIECE = 2**20  # bytes of a file that are in memory at a time
_MIX = 6364136223846793005  # odd, so that a product modulo 2**64 loses nothing


def digest(parts: Iterable[bytes]) -> int:
    """Return a 64-bit number, the same in every process: tensors can be gathered, bytes can't."""
    found = hashlib.sha256()  # which processors have instructions for
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return int.from_bytes(found.digest()[:8], "little", signed=True)


def content_of(raw: object, samples: Sequence[ModalitySample], train: bool) -> int:
    """Return the digest of one modality of a row.

    Args:
        raw: Its raw value, or several.
        samples: What was prepared of it: what the model reads, so that texts which differ in what is cleaned or cut
            are equal.
        train: Preparing draws at random; then only token ids are compared as prepared, and all else as it came (a file
            by its bytes).
    """
    if train and samples[0].values.is_floating_point():
        return raw_content(raw)
    return digest(part for sample in samples for part in _raw_bytes(sample.values))


def raw_content(raw: object) -> int:
    """Return the digest of a raw value, or of several, before anything is prepared; of files by their bytes."""
    return digest(part for value in values_of(raw) for part in _raw_bytes(value))


def joint_content(contents: Mapping[str, Tensor], names: Sequence[str]) -> Tensor | None:
    """Combine the digests of several modalities to (B,) int64; None where a batch lacks one."""
    if any(name not in contents for name in names):
        return None
    total = contents[names[0]]
    for name in names[1:]:
        total = total * _MIX + contents[name]
    return total


def _raw_bytes(value: object) -> Iterable[bytes]:
    if isinstance(value, str | os.PathLike):
        path = Path(value)
        if path.is_file():
            with path.open("rb") as file:
                yield from iter(partial(file.read, _PIECE), b"")
        else:
            yield str(value).encode(errors="surrogatepass")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, np.ndarray | Tensor):
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        yield from (str((array.shape, array.dtype)).encode(), np.ascontiguousarray(array).tobytes())
    elif isinstance(value, Image.Image):
        yield from (str((value.size, value.mode)).encode(), value.tobytes())
    elif isinstance(value, tuple):
        for part in value:
            yield from _raw_bytes(part)
    else:
        yield pickle.dumps(value)


def stack_contents(contents: Sequence[Mapping[str, int]]) -> dict[str, Tensor]:
    """Stack digests of rows to modality -> (B,) int64; empty where rows have none."""
    return {name: torch.tensor([each[name] for each in contents]) for name in contents[0]}
