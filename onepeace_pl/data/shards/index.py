"""Index of tar shards in WebDataset's layout: where each sample's members are, in arrays that are memory-mapped.

All processes of a machine share the pages of the arrays; none holds a list of rows. An index is a folder:

* ``shards.json``: the shards with WebDataset's names (``url``, ``nsamples``, ``filesize``), endings and their counts;
* ``rows.npy`` (N + 1): for each row the number of its first member, and where its key begins;
* ``members.npy``: offset, size and ending of each member;
* ``keys.npy``: the keys, one after the other, in UTF-8.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from onepeace_pl.data.shards.byte_ranges import file_system, is_remote, open_binary
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.files import NEW, beside, discard, replace, replacing, sync
from onepeace_pl.utils.json_files import JsonObject, read_json_object

INDEX: Final = "index"
"""Folder of the index in that of the shards."""

ROW: Final = "json"
"""Ending of the member with the id and the labels of a row."""

FACTS: Final = "shards.json"
PARTS: Final = ".parts"  # of the index that is being made, one a shard
FORMAT: Final = 1
_KEY: Final = re.compile(r"^((?:.*/)?[^./][^./]*)\.([^/]+)$")  # WebDataset's: up to the first dot of the name
_NUMBER: Final = re.compile(r"(?:^|\.)(\d+)(?=\.[^.]+$)")
_CHUNK: Final = 1 << 20  # rows that are compared at a time
_ROW: Final = np.dtype([("member", "<u8"), ("key", "<u8")])
_MEMBER: Final = np.dtype([("offset", "<u8"), ("size", "<u8"), ("ending", "<u2")])


def number_of(ending: str) -> int | None:
    """Return the number of one of several values, as in ``1.jpg``; None where there is none."""
    match = _NUMBER.search(ending)
    return int(match[1]) if match else None


def unnumbered(ending: str) -> str:
    """Return an ending without that number."""
    return _NUMBER.sub("", ending).lstrip(".")


class Member(NamedTuple):
    """File in a tar.

    Attributes:
        ending: Its name after the key and a dot, in lower case.
        offset: Byte where its content begins, after a header of 512 bytes.
        size: Bytes of its content.
    """

    ending: str
    offset: int
    size: int


@dataclass
class TarRows:
    """Samples of one tar.

    Attributes:
        filesize: Bytes of the tar.
        keys: Key of each sample.
        members: Members of each sample.
        account: What else is known of how it was made.
    """

    filesize: int = 0
    keys: list[str] = field(default_factory=list)
    members: list[list[Member]] = field(default_factory=list)
    account: JsonObject = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it to a file, atomically."""
        endings = sorted({each.ending for several in self.members for each in several})
        numbers = {ending: number for number, ending in enumerate(endings)}
        flat = [(m.offset, m.size, numbers[m.ending]) for several in self.members for m in several]
        keys = [key.encode("utf-8", "surrogateescape") for key in self.keys]
        facts = {"filesize": self.filesize, "endings": endings, "account": self.account}
        with replacing(path) as new, new.open("wb") as file:
            np.savez(
                file,
                counts=np.array([len(several) for several in self.members], np.uint32),
                members=np.array(flat, _MEMBER),
                lengths=np.array([len(key) for key in keys], np.uint32),
                keys=np.frombuffer(b"".join(keys), np.uint8),
                facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
            )


def scan_tar(path: str) -> TarRows:
    """Read the headers of a tar. Consecutive members of one key are a sample, as for WebDataset.

    Raises:
        UserError: It is missing, compressed, truncated or no tar, or a sample has two members of one ending.
    """
    found = TarRows()
    with open_binary(path) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    tar.members = []  # type: ignore[attr-defined]  # which it would keep
                    match = _KEY.match(info.name)
                    if info.isfile() and match:
                        member = Member(match[2].lower(), info.offset_data, info.size)
                        _add(found, match[1], member, path)
                end: int = tar.offset
        except (tarfile.TarError, EOFError) as error:
            raise UserError(
                f"{path}: no tar, a compressed or a truncated one ({first_line(error)}); write it again, "
                "uncompressed"
            ) from error
        found.filesize = _check_end(file, end, path)
    return found


def _add(found: TarRows, key: str, member: Member, path: str) -> None:
    if not found.keys or found.keys[-1] != key:
        found.keys.append(key)
        found.members.append([])
    if any(member.ending == other.ending for other in found.members[-1]):
        raise UserError(f"{path}: {key}.{member.ending} is there twice; give each sample a key of its own")
    found.members[-1].append(member)


def _check_end(file: BinaryIO, end: int, path: str) -> int:
    """Return the size of a tar, which must end with a block of zeros."""
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise UserError(f"{path}: truncated or damaged at byte {end}; write it again")
    return file.seek(0, 2)


def index_shards(
    paths: Sequence[str],
    folder: Path,
    names: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
) -> tuple[int, list[str]]:
    """Make the index of tars; those that an interrupted call has read are not read again.

    Args:
        paths: The tars, in the order of their rows.
        folder: Folder of the index.
        names: Names of the tars in the index, relative to the folder of the shards; None for the paths.
        on_error: Handling of tars that cannot be read: "raise", or "skip" them.

    Returns:
        The number of rows, and a message for each tar that is left out.

    Raises:
        UserError: A tar cannot be read and `on_error` is "raise", or none can be.
    """
    parts = folder.parent / f"{PARTS}-{folder.name}"
    parts.mkdir(parents=True, exist_ok=True)
    good, broken = [], list[str]()
    for number, path in enumerate(paths):
        part = parts / f"{number:06}.npz"
        if not (part.exists() and _read_part(part)[0]["account"] == {"path": path}):
            try:
                found = scan_tar(path)
            except UserError as error:
                if on_error == "raise":
                    raise UserError(f"{error} (--on-error skip leaves such tars out)") from error
                broken.append(str(error))
                continue
            found.account = {"path": path}
            found.save(part)
        good.append((path if names is None else names[number], part))
    if not good:
        raise UserError(f"{folder}: none of {len(paths)} tars can be read; the first: {broken[0]}")
    rows = merge_parts(good, folder, {})
    discard(parts)
    return rows, broken


def merge_parts(parts: Sequence[tuple[str, Path]], folder: Path, facts: Mapping[str, object]) -> int:
    """Write an index of parts, whole or not at all, and return the number of rows.

    Args:
        parts: Name and part of each shard.
        folder: Folder of the index.
        facts: What is noted besides.
    """
    shards: list[JsonObject] = []
    endings: Counter[str] = Counter()
    rows = members = letters = 0
    read: dict[Path, tuple[JsonObject, int, int, int]] = {}  # of a part that is there several times, once
    for name, part in parts:
        if part not in read:
            known, arrays = _read_part(part)
            read[part] = known, len(arrays["counts"]), len(arrays["members"]), len(arrays["keys"])
            known["used"] = np.bincount(arrays["members"]["ending"], minlength=len(known["endings"])).tolist()
        known, samples, files, length = read[part]
        endings.update(dict(zip(known["endings"], known["used"], strict=True)))
        shards.append({"url": name, "nsamples": samples, "filesize": known["filesize"]})
        rows, members, letters = rows + samples, members + files, letters + length
    if not rows:
        raise UserError(f"{folder}: no samples; members are named KEY.ENDING, such as 000001.jpg")
    order = sorted(endings)
    new = beside(folder, NEW)
    discard(new)
    new.mkdir(parents=True)
    whole = {"format": FORMAT, "rows": rows, "endings": {name: endings[name] for name in order}}
    (new / FACTS).write_text(json.dumps({**whole, **facts, "shards": shards}, indent=1) + "\n")
    into = _Arrays(
        np.lib.format.open_memmap(new / "rows.npy", "w+", _ROW, (rows + 1,)),
        np.lib.format.open_memmap(new / "members.npy", "w+", _MEMBER, (members,)),
        np.lib.format.open_memmap(new / "keys.npy", "w+", np.uint8, (max(letters, 1),)),
    )
    arrays, last = {}, None
    for _, part in parts:
        if part != last:
            known, arrays = _read_part(part)
            numbers = np.array([order.index(each) for each in known["endings"]], np.uint16)
            arrays["members"]["ending"] = numbers[arrays["members"]["ending"]]
            last = part
        into.append(arrays)
    into.finish()
    sync(new)
    replace(new, folder)
    return rows


class _Arrays:
    """Arrays of an index, filled from front to back."""

    def __init__(self, rows: Any, members: Any, keys: Any) -> None:
        self.rows, self.members, self.keys = rows, members, keys
        self.row = self.member = self.letter = 0

    def append(self, part: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add the rows of a part."""
        counts, lengths = part["counts"].astype(np.uint64), part["lengths"].astype(np.uint64)
        some = self.rows[self.row : self.row + len(counts)]
        some["member"] = np.uint64(self.member) + np.cumsum(counts) - counts
        some["key"] = np.uint64(self.letter) + np.cumsum(lengths) - lengths
        self.members[self.member : self.member + len(part["members"])] = part["members"]
        self.keys[self.letter : self.letter + len(part["keys"])] = part["keys"]
        self.row, self.member = self.row + len(counts), self.member + len(part["members"])
        self.letter += len(part["keys"])

    def finish(self) -> None:
        """Write what is still in memory."""
        self.rows[self.row] = (self.member, self.letter)
        for array in (self.rows, self.members, self.keys):
            array.flush()


def _read_part(path: Path) -> tuple[JsonObject, dict[str, npt.NDArray[Any]]]:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    facts: JsonObject = json.loads(arrays.pop("facts").tobytes())
    return facts, arrays


def read_accounts(parts: Iterable[Path]) -> Iterator[JsonObject]:
    """Yield the account of each part."""
    for part in parts:
        yield _read_part(part)[0]["account"]


class TarIndex:
    """Index of tar shards, memory-mapped. Picklable; each process maps the files anew.

    Args:
        folder: Folder of the index.

    Attributes:
        shards: ``url``, ``nsamples`` and ``filesize`` of each shard.
        endings: Ending to number of members.
        facts: All of ``shards.json``.

    Raises:
        UserError: It is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / FACTS).is_file():
            raise UserError(
                f"{folder}: no index of tar shards; make one: python -m onepeace_pl data index FOLDER"
            )
        self.facts = read_json_object(folder / FACTS)
        if self.facts.get("format") != FORMAT or not {"shards", "endings", "rows"} <= self.facts.keys():
            raise UserError(f"{folder / FACTS}: no index of format {FORMAT}; make it again (data index)")
        self.shards: list[JsonObject] = self.facts["shards"]
        self.endings: dict[str, int] = self.facts["endings"]
        self._names = list(self.endings)
        self._ends = np.cumsum([shard["nsamples"] for shard in self.shards])
        self._map()
        whole = len(self._rows) == self.facts["rows"] + 1 == self._ends[-1] + 1
        if not whole or self._rows[-1]["member"] != len(self._members):
            raise UserError(f"{folder}: damaged; its files are not of one index: make it again (data index)")

    def __len__(self) -> int:
        return len(self._rows) - 1

    def shard(self, row: int) -> JsonObject:
        """Return the shard of a row."""
        return self.shards[int(np.searchsorted(self._ends, row, "right"))]

    def key(self, row: int) -> str:
        """Return the key of a row."""
        start, stop = self._rows["key"][row : row + 2]
        return bytes(self._keys[start:stop]).decode("utf-8", "surrogateescape")

    def members(self, row: int) -> list[Member]:
        """Return the members of a row."""
        start, stop = self._rows["member"][row : row + 2]
        return [
            Member(self._names[ending], offset, size)
            for offset, size, ending in self._members[start:stop].tolist()
        ]

    def count_rows(self, endings: Iterable[str]) -> int:
        """Return the number of rows that have a member of one of these endings, if each has at most one."""
        return sum(self.endings.get(each, 0) for each in endings)

    def rows_with(self, endings: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return (N,) bool: whether rows have a member of one of these endings. Reads the whole index."""
        numbers = [self._names.index(each) for each in endings if each in self.endings]
        there = np.empty(len(self), np.bool_)
        for first in range(0, len(self), _CHUNK):
            starts = self._rows["member"][first : first + _CHUNK + 1].astype(np.int64)
            held = np.isin(self._members["ending"][starts[0] : starts[-1]], numbers)
            found = np.concatenate([[0], np.cumsum(held)])[starts - starts[0]]
            there[first : first + _CHUNK] = found[1:] > found[:-1]
        return there

    def _map(self) -> None:
        try:
            self._rows = np.load(self.folder / "rows.npy", mmap_mode="r")
            self._members = np.load(self.folder / "members.npy", mmap_mode="r")
            self._keys = np.load(self.folder / "keys.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            reason = first_line(error)
            raise UserError(f"{self.folder}: damaged ({reason}); make it again (data index)") from error

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_rows", "_members", "_keys")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()


def find_tars(folder: str) -> list[str]:
    """Return the names of the tars in a local or remote folder, in alphabetical order.

    Raises:
        UserError: There are none.
    """
    if is_remote(folder):
        system, inner = file_system(folder)
        names = [str(each).rpartition("/")[2] for each in system.ls(inner, detail=False)]
    else:
        if not Path(folder).is_dir():
            raise UserError(f"{folder}: no such folder; check the path")
        names = [path.name for path in Path(folder).iterdir()]
    found = sorted(name for name in names if name.endswith(".tar") and not name.startswith("."))
    if not found:
        raise UserError(f"{folder}: no .tar files; shards are uncompressed tars")
    return found
