"""Sharded checkpoint folders, checked before torch reads them.

torch unpickles ``.metadata``, and whatever in the shards is no tensor, without any restriction. Here both are read
first, so that nothing but descriptions of tensors and plain data reaches it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from onepeace_pl.errors import UserError, first_line

METADATA = ".metadata"
_NAMES = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size"},
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath", "WindowsPath"},
    "pathlib._local": {"PosixPath", "WindowsPath"},  # Python 3.13
}


class _Metadata(pickle.Unpickler):
    """Makes what describes a checkpoint, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up a global, if it is one of those."""
        known = name in _NAMES.get(module, ()) or (
            module == "torch" and isinstance(vars(torch).get(name), torch.dtype)
        )
        if not known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def check_sharded(folder: Path) -> None:
    """Reject a sharded checkpoint that could run code when it is read.

    Raises:
        UserError: It is damaged, or holds more than tensors and plain data.
    """
    try:
        with (folder / METADATA).open("rb") as file:
            metadata = _Metadata(file).load()
        for path, offset, length in _plain_items(metadata, folder):
            with path.open("rb") as shard:
                shard.seek(offset)
                torch.load(io.BytesIO(shard.read(length)), map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: a shard is missing or damaged ({error})") from None
    except pickle.UnpicklingError as error:
        reason = first_line(error, "it ends too early")
        raise UserError(
            f"{folder} is damaged, or holds more than tensors and plain data, and is not read: a pickle can run code "
            f"({reason})"
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        reason = first_line(error, type(error).__name__)
        raise UserError(f"{folder}: {METADATA} or a shard is damaged ({reason})") from None


def _plain_items(metadata: Any, folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Yield file, offset and length of all that is no tensor."""
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    kinds = metadata.state_dict_metadata
    for index, info in metadata.storage_data.items():
        path = folder / info.relative_path
        if folder.resolve() not in path.resolve().parents:
            raise UserError(f"it names a file outside the folder: {info.relative_path}")
        if not isinstance(kinds.get(index.fqn), TensorStorageMetadata):
            if vars(info).get("transform_descriptors"):
                raise UserError(f"{index.fqn} is compressed")
            yield path, info.offset, info.length
