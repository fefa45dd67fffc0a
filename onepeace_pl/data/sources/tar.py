"""Tar shards in WebDataset's layout, read at random."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal
from warnings import warn

import numpy as np

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.shards.byte_ranges import ByteRanges, file_system, is_remote
from onepeace_pl.data.shards.index import FACTS, INDEX, ROW, Member, TarIndex, number_of, unnumbered
from onepeace_pl.data.source import Fields, Labels, Row, Source, values_of
from onepeace_pl.data.sources.columns import shared_by_id
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.files import discard, replace

CLASS: Final = "cls"
"""Ending of WebDataset for the index or the name of a class."""

_GAP: Final = 1 << 20  # bytes between members that are read along rather than by a request of their own


class TarSource(Source):
    """Rows of tar shards in WebDataset's layout (``KEY.jpg``, ``KEY.txt``, ``KEY.json``), without unpacking them.

    ``python -m onepeace_pl data shard`` writes such shards, and ``data index`` makes the index of those that come from
    elsewhere. The index is memory-mapped, so that all processes of a machine share it, whatever the number of rows.
    Members are read by their offsets, also those of remote shards: a row takes one request.

    Text ends in ``.txt``, arrays in ``.npy``; other members are handed to their processor as encoded files. Several
    values of a field are numbered: ``KEY.0.jpg``, ``KEY.1.jpg``.

    Args:
        path: Folder of the shards: a path, or a URL that fsspec reads (``s3://bucket/train``).
        fields: Field to the ending of its members, or to several, separated by ``;`` (``jpg;png``), or to a key of a
            JSON member (``json:caption``). None takes those that the shards were written with, or else tells
            modalities by the usual endings.
        labels: Label to ending, or to a key of a JSON member, likewise. None takes the keys of the member ``json``
            that serve nothing else, and ``cls`` as ``class``.
        classes: Names of the classes in the order of their indices; None takes those of the shards.
        index: Folder of the index; None takes ``index`` beside the shards. That of a remote folder is copied once to
            the user's cache.
        incomplete: Handling of rows that lack a field: "raise", or "skip" with a warning that counts them.

    Raises:
        UserError: There is no index or it is damaged, no member has such an ending, or rows are incomplete.
        LibraryError: The package of a remote protocol is not installed.
    """

    layout: ClassVar[str] = """
        shard-000000.tar        KEY.jpg, KEY.txt, KEY.json for each sample
        index                   made by `data shard` or `data index`"""

    def __init__(
        self,
        path: str,
        fields: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        classes: list[str] | None = None,
        index: str | None = None,
        incomplete: Literal["raise", "skip"] = "raise",
    ) -> None:
        path = path.removeprefix("file://")
        self.path = path.rstrip("/") if is_remote(path) else str(Path(path))
        self.index = TarIndex(_local_index(self.path, index))
        facts = self.index.facts
        self.classes = tuple(facts.get("classes", ()) if classes is None else classes)
        self._fields = _specs(fields) or {
            name: (tuple(endings), None) for name, endings in facts.get("fields", {}).items()
        }
        self._fields = self._fields or _usual(self.index.endings)
        if not self._fields:
            has = ", ".join(self.index.endings)
            raise UserError(
                f"{path}: no usual endings of a modality; name yours in `fields`: there are {has}"
            )
        self._labels = _specs(labels) if labels is not None else _specs(facts.get("labels", {}))
        self._all_labels = labels is None
        self.modalities = tuple(self._fields)
        for name, (endings, _) in {**self._fields, **self._labels}.items():
            if not self._matching(endings):
                has = ", ".join(self.index.endings)
                raise UserError(
                    f"{path}: no member ends in .{' or .'.join(endings)} ({name}); there are {has}"
                )
        self._ranges = ByteRanges()
        self._checked: set[str] = set()
        self._rows = self._complete(incomplete)

    def __len__(self) -> int:
        return len(self.index) if self._rows is None else len(self._rows)

    def __getitem__(self, index: int, /) -> Row:
        row = self._row(index)
        found = self._read(row, None)
        said = self._json(row, found, ROW) if ROW in found else {}
        fields: Fields = {}
        for name, spec in self._fields.items():
            fields[name] = self._value(row, found, spec)
        labels = {name: self._value(row, found, spec) for name, spec in self._labels.items()}
        if self._all_labels:
            used = {key for _, key in (*self._fields.values(), *self._labels.values()) if key}
            labels = {k: v for k, v in said.items() if k not in used and k != "id"} | labels
            if CLASS in found:
                labels.setdefault("class", _class(found[CLASS]))
        identity = said.get("id")
        return Row(self.index.key(row) if identity is None else str(identity), fields, labels)

    def ids(self) -> Iterator[str] | None:
        """Return the id of each row; None where JSON members may have others than the keys."""
        if ROW in self.index.endings:
            return None
        return (self.index.key(self._row(number)) for number in range(len(self)))

    def labels(self) -> Iterator[Labels] | None:
        """Return the labels of each row; None where they are in the shards."""
        if self._labels or (self._all_labels and {ROW, CLASS} & self.index.endings.keys()):
            return None
        return ({} for _ in range(len(self)))

    def texts(self) -> Iterator[str]:
        """Return all texts, for training a tokenizer; of each row the text alone is read."""
        for number in range(len(self)):
            row = self._row(number)
            endings, _ = spec = self._fields["text"]
            yield from values_of(self._value(row, self._read(row, self._matching(endings)), spec))

    def files(self, index: int) -> list[str] | None:
        """Return the shard of a row; nothing of a remote one, which is not looked for."""
        return [] if is_remote(self.path) else [self._tar(self._row(index))]

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value."""
        return shared_by_id(self)

    def _row(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return index if self._rows is None else int(self._rows[index])

    def _tar(self, row: int) -> str:
        url = str(self.index.shard(row)["url"])
        if is_remote(url) or is_remote(self.path):
            return url if is_remote(url) else f"{self.path}/{url}"
        return str(Path(self.path, url))

    def _place(self, row: int) -> str:
        return f"{self._tar(row)}: {self.index.key(row)}"

    def _matching(self, endings: Sequence[str]) -> list[str]:
        """Return the endings of the shards that are one of these, numbered or not."""
        return [each for each in self.index.endings if unnumbered(each) in endings]

    def _complete(self, incomplete: str) -> np.ndarray[Any, Any] | None:
        """Return the rows that have all fields; None where all have, which is known without looking at them."""
        lacking = {
            name: self._matching(endings)
            for name, (endings, _) in self._fields.items()
            if self.index.count_rows(self._matching(endings)) < len(self.index)
            or any(number_of(each) is not None for each in self._matching(endings))
        }
        if not lacking:
            return None
        there = np.ones(len(self.index), bool)
        first: tuple[int, str] | None = None
        for name, endings in lacking.items():
            own = self.index.rows_with(endings)
            if first is None and not own.all():
                first = int(np.argmin(own)), name
            there &= own
        if first is None:
            return None
        number, name = first
        message = (
            f"{self.path}: {int((~there).sum()):,} of {len(there):,} samples lack a field: {self._place(number)} has "
            f"no {name} (.{' or .'.join(self._fields[name][0])})"
        )
        if incomplete == "raise":
            raise UserError(f"{message}; set incomplete: skip to leave them out")
        if not there.any():
            raise UserError(message)
        warn(f"{message}; they are left out", stacklevel=3)
        return np.flatnonzero(there)

    def _read(self, row: int, endings: Sequence[str] | None) -> dict[str, bytes]:
        """Return ending -> content of the members of a row, or of some of them."""
        path = self._tar(row)
        self._check_size(row, path)
        members = [each for each in self.index.members(row) if endings is None or each.ending in endings]
        members.sort(key=lambda each: each.offset)
        found: dict[str, bytes] = {}
        for group in _groups(members):
            start = group[0].offset - tarfile.BLOCKSIZE
            content = self._ranges.read(path, start, group[-1].offset + group[-1].size)
            for each in group:
                at = each.offset - start
                part = content[at : at + each.size]
                self._check_member(row, each, content[at - tarfile.BLOCKSIZE : at], len(part))
                found[each.ending] = part
        return found

    def _check_size(self, row: int, path: str) -> None:
        """Check, once for each shard, that it has the size that the index says."""
        if path in self._checked:
            return
        size, known = self._ranges.size(path), self.index.shard(row)["filesize"]
        if size != known:
            raise UserError(
                f"{path}: {size:,} bytes, and the index says {known:,}: truncated, or another tar; copy it again, or "
                "make the index again (data index)"
            )
        self._checked.add(path)

    def _check_member(self, row: int, member: Member, header: bytes, size: int) -> None:
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            info = tarfile.TarInfo()
        key = self.index.key(row)
        named = info.name.lower().endswith(f"{key}.{member.ending}".lower())
        if (
            size != member.size
            or info.size != size
            or not (named or len(info.name) > 99 or not key.isascii())
        ):
            raise UserError(
                f"{self._place(row)}.{member.ending} is not at byte {member.offset}: a damaged tar, or the index of "
                "another one; make it again (data index)"
            )

    def _value(self, row: int, found: Mapping[str, bytes], spec: tuple[tuple[str, ...], str | None]) -> Any:
        endings, key = spec
        own = [each for each in found if unnumbered(each) in endings]
        if not own:
            raise UserError(f"{self._place(row)}: no .{' or .'.join(endings)}")
        if key is not None:
            said = self._json(row, found, own[0])
            if key not in said:
                has = ", ".join(said) or "nothing"
                raise UserError(f"{self._place(row)}.{own[0]}: no key {key!r}; it has {has}")
            return said[key]
        numbered = {number: each for each in own if (number := number_of(each)) is not None}
        if numbered:
            return tuple(self._decoded(row, found, numbered[number]) for number in sorted(numbered))
        return self._decoded(row, found, own[0])

    def _decoded(self, row: int, found: Mapping[str, bytes], ending: str) -> Any:
        content, kind = found[ending], ending.rpartition(".")[2]
        try:
            if kind == "txt":
                return content.decode("utf-8")
            if kind == CLASS:
                return _class(content)
            if kind == "npy":
                return np.load(io.BytesIO(content), allow_pickle=False)
            if kind == "json":
                return json.loads(content)
        except (ValueError, EOFError) as error:
            raise UserError(f"{self._place(row)}.{ending}: damaged ({first_line(error)})") from error
        return content

    def _json(self, row: int, found: Mapping[str, bytes], ending: str) -> dict[str, Any]:
        said = self._decoded(row, found, ending)
        if not isinstance(said, dict):
            raise UserError(f"{self._place(row)}.{ending}: {shown(said)} is no JSON object")
        return said


def _specs(named: Mapping[str, str] | None) -> dict[str, tuple[tuple[str, ...], str | None]]:
    """Parse ``jpg;png`` and ``json:caption``."""
    specs = {}
    for name, text in (named or {}).items():
        endings, colon, key = text.partition(":")
        specs[name] = (
            tuple(each.strip().lower().lstrip(".") for each in endings.split(";")),
            key if colon else None,
        )
    return specs


def _usual(endings: Mapping[str, int]) -> dict[str, tuple[tuple[str, ...], str | None]]:
    """Return the modalities of the usual endings."""
    found: dict[str, list[str]] = {}
    for each in endings:
        modality = ENDINGS.get(f".{each}")
        if modality is not None:
            found.setdefault(modality, []).append(each)
    return {name: (tuple(several), None) for name, several in found.items()}


def _class(content: bytes) -> int | str:
    text = content.decode("utf-8").strip()
    return int(text) if text.isdecimal() else text


def _groups(members: Sequence[Member]) -> Iterator[list[Member]]:
    """Yield members that are read together: those that are nearly side by side."""
    group: list[Member] = []
    for each in members:
        if group and each.offset - (group[-1].offset + group[-1].size) > _GAP:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _local_index(path: str, index: str | None) -> Path:
    """Return the folder of an index; that of remote shards is copied once."""
    if index is None and not is_remote(path):
        return Path(path) / INDEX
    url = f"{path}/{INDEX}" if index is None else index
    if not is_remote(url):
        return Path(url)
    system, inner = file_system(url)
    try:
        facts = system.cat_file(f"{inner}/{FACTS}")
    except FileNotFoundError:
        raise UserError(
            f"{url}: no index of tar shards; make one (data index {path} --to FOLDER) and name it in `index`"
        ) from None
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "onepeace_pl" / "shards" / hashlib.sha256(url.encode() + facts).hexdigest()[:32]
    if not (folder / FACTS).is_file():
        new = folder.with_name(f".new-{os.getpid()}-{folder.name}")
        new.mkdir(parents=True, exist_ok=True)
        for name in ("rows.npy", "members.npy", "keys.npy", FACTS):
            system.get_file(f"{inner}/{name}", str(new / name))
        if (folder / FACTS).is_file():  # another process was faster
            discard(new)
        else:
            replace(new, folder)
    return folder
