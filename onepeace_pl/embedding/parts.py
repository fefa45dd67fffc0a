"""Folder of embeddings: Parquet files of a fixed number of items each, written one after the other.

Every file is written beside its place, synced, and renamed, so that a kill leaves whole files alone. A file holds its
own account in the schema's metadata: the model, its items, and those that could not be read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import torch
from torch import Tensor

from onepeace_pl.embedding.item import Item
from onepeace_pl.embedding.stamp import Stamp
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.files import replacing, write_text
from onepeace_pl.utils.json_files import JsonObject, read_json_object
from onepeace_pl.utils.libraries import LibraryError
from onepeace_pl.version import VERSION

if TYPE_CHECKING:
    import pyarrow as pa

FACTS: Final = "_embed.json"  # readers of a folder of Parquet files pass over names with an underscore
FAILED: Final = "_failed.jsonl"
FORMAT: Final = 1
KEY: Final = b"onepeace_pl"
TEXTS: Final = ("id", "modality", "path", "text", "row")
VECTOR: Final = "vector"
PART_SIZE: Final = 1024


@dataclass(frozen=True)
class PartFacts:
    """Account of a part.

    Attributes:
        items: Number of its items, failed ones included.
        digest: Digest of their ids, texts and paths.
        failed: Id and reason of each item that has no vector.
    """

    items: int
    digest: str
    failed: Sequence[tuple[str, str]] = ()


@dataclass
class Part:
    """A part that is being made: columns without the raw values of its items.

    Attributes:
        number: Its number from 0.
        items: Number of items so far.
        vectors: Their vectors, but for failed ones.
        failed: Id and reason of each item that has no vector.
    """

    number: int
    items: int = 0
    vectors: list[Tensor] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    _columns: list[tuple[str, ...]] = field(default_factory=list)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, items: Sequence[Item], found: Sequence[Tensor | str]) -> None:
        """Add items and their vectors, or the reason why there is none."""
        for item, vector in zip(items, found, strict=True):
            self.items += 1
            self._digest.update(_key(item))
            if isinstance(vector, str):
                self.failed.append((item.id, vector))
            else:
                self.vectors.append(vector)
                self._columns.append((item.id, item.modality, item.path, item.words, item.row))

    @property
    def facts(self) -> PartFacts:
        """Its account."""
        return PartFacts(self.items, self._digest.hexdigest(), tuple(self.failed))

    def table(self, width: int) -> pa.Table:
        """Return its rows: columns of text, and the vectors as lists of a fixed size."""
        import pyarrow as pa

        columns = list(zip(*self._columns, strict=True)) or [()] * len(TEXTS)
        arrays = [pa.array(column, pa.string()) for column in columns]
        values = torch.stack(self.vectors).numpy() if self.vectors else torch.empty(0, width).numpy()
        vectors = pa.FixedSizeListArray.from_arrays(values.ravel(), width)
        return pa.table([*arrays, vectors], names=[*TEXTS, VECTOR])


class EmbeddingFolder:
    """Folder of embeddings. Made by :meth:`open`.

    Attributes:
        path: The folder.
        part_size: Items of a part.
        stamp: Fingerprint of the model.
    """

    def __init__(self, path: Path, part_size: int, stamp: Stamp) -> None:
        self.path, self.part_size, self.stamp = path, part_size, stamp

    @classmethod
    def open(
        cls,
        path: Path,
        stamp: Stamp,
        options: Mapping[str, str | bool | None],
        part_size: int | None = None,
        model_folder: str | None = None,
    ) -> Self:
        """Open a folder to go on, or make it.

        Args:
            path: The folder; must not exist, be empty, or be such a folder.
            stamp: Fingerprint of the model.
            options: Options that vectors depend on besides.
            part_size: Items of a part; None for those of the folder, or 1024.
            model_folder: Folder of the model, which is noted.

        Raises:
            UserError: The folder has other files, or vectors of another model or with other options.
            LibraryError: pyarrow is not installed.
        """
        _import_arrow()
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; give a folder")
        if part_size is not None and part_size < 1:
            raise UserError(f"part_size={part_size} must be at least 1")
        if (path / FACTS).is_file():
            facts = read_facts(path)
            Stamp.from_json(facts["stamp"]).check(stamp, str(path))
            for name, value in {**options, "part_size": part_size or facts["part_size"]}.items():
                known = facts.get("options", {}).get(name) if name != "part_size" else facts[name]
                if known != value:
                    raise UserError(
                        f"{path} was begun with {name}={known}, not {value}; use the same, or give a new folder"
                    )
            return cls(path, int(facts["part_size"]), stamp)
        if path.is_dir() and any(not name.startswith(".") for name in os.listdir(path)):
            raise UserError(f"{path} has other files; give a new folder")
        size = part_size or PART_SIZE
        facts = {
            "format": FORMAT,
            "onepeace_pl": VERSION,
            "model": model_folder and os.path.abspath(model_folder),
            "part_size": size,
            "options": dict(options),
            "stamp": stamp.to_json(),
        }
        write_text(path / FACTS, json.dumps(facts, indent=2) + "\n")
        return cls(path, size, stamp)

    def part(self, number: int) -> Path:
        """Return the file of a part."""
        return self.path / f"part-{number:06}.parquet"

    def count(self) -> int:
        """Return the number of parts, gaps included."""
        names = sorted(path.stem for path in self.path.glob("part-*.parquet"))
        return int(names[-1].removeprefix("part-")) + 1 if names else 0

    def read(self, number: int) -> PartFacts | None:
        """Return the account of a part; None where it is missing.

        Raises:
            UserError: It is damaged, or of another model.
        """
        path = self.part(number)
        if not path.exists():
            return None
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            said = json.loads((pq.read_schema(path).metadata or {})[KEY])
            known = Stamp.from_json(said["stamp"])
            facts = PartFacts(said["items"], said["digest"], tuple(map(tuple, said["failed"])))
        except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
            raise DamagedPartError(f"{path}: damaged ({first_line(error, type(error).__name__)})") from error
        known.check(self.stamp, str(path))
        return facts

    def write(self, part: Part) -> None:
        """Write a part, whole or not at all."""
        import pyarrow.parquet as pq

        facts = json.dumps({"stamp": self.stamp.to_json(), **asdict(part.facts)}, sort_keys=True)
        table = part.table(self.stamp.width).replace_schema_metadata({KEY: facts})
        with replacing(self.part(part.number)) as new, new.open("wb") as file:
            pq.write_table(table, file, compression="zstd")

    def list_failed(self, failed: Sequence[tuple[str, str]]) -> None:
        """Write the list of items that have no vector; remove it where there are none."""
        if failed:
            lines = (json.dumps({"id": name, "reason": why}, ensure_ascii=False) for name, why in failed)
            write_text(self.path / FAILED, "".join(f"{line}\n" for line in lines))
        else:
            (self.path / FAILED).unlink(missing_ok=True)


class DamagedPartError(UserError):
    """A part that is no whole Parquet file."""


def digest_of(items: Sequence[Item]) -> str:
    """Return the digest of the ids, texts and paths of items."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(_key(item))
    return digest.hexdigest()


def read_facts(path: Path) -> JsonObject:
    """Read ``_embed.json`` of a folder.

    Raises:
        UserError: It is damaged, or of another format.
    """
    facts = read_json_object(path / FACTS)
    if facts.get("format") != FORMAT or not {"part_size", "stamp"} <= facts.keys():
        raise UserError(f"{path / FACTS}: no embeddings of format {FORMAT}; embed into a new folder")
    return facts


def _key(item: Item) -> bytes:
    said = [item.id, {name: value if isinstance(value, str) else "" for name, value in item.inputs.items()}]
    return json.dumps(said, sort_keys=True).encode()


def _import_arrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise LibraryError("embeddings need pyarrow: pip install 'onepeace-pl[search]'") from error
