"""Writer of tar shards. The same rows give the same bytes, however often it was killed."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal

from onepeace_pl.data.shards.encoding import encode_row
from onepeace_pl.data.shards.index import (
    FACTS,
    INDEX,
    PARTS,
    ROW,
    Member,
    TarRows,
    merge_parts,
    read_accounts,
    unnumbered,
)
from onepeace_pl.data.source import Source
from onepeace_pl.errors import UserError
from onepeace_pl.utils.claim import Claim, claim_file
from onepeace_pl.utils.files import discard, recover, replacing, write_text
from onepeace_pl.utils.json_files import JsonObject, read_json_object

LEFT_OUT: Final = "left_out.tsv"
_OPTIONS: Final = "options.json"


@dataclass
class ShardReport:
    """What was written.

    Attributes:
        rows: Rows in the shards.
        shards: Number of shards.
        left_out: Index, id and reason of each row that is not in them.
    """

    rows: int
    shards: int
    left_out: list[tuple[int, str, str]] = field(default_factory=list)


def write_shards(
    source: Source,
    folder: Path,
    name: str = "shard",
    max_count: int = 10_000,
    max_size: int = 1 << 30,
    on_error: Literal["raise", "skip"] = "raise",
    described: Mapping[str, object] | None = None,
) -> ShardReport:
    """Write the rows of a source to tars in WebDataset's layout, with an index, or go on where a call was killed.

    Args:
        source: The rows. Where it samples them in each epoch, shards hold what evaluation would read.
        folder: Of the shards; new, or that of an interrupted call with the same options.
        name: Shards are named ``NAME-000000.tar``.
        max_count: Samples of a shard.
        max_size: Bytes of a shard, unless one sample alone has more.
        on_error: Handling of rows that cannot be stored: "raise", or "skip" them: listed in ``left_out.tsv``.
        described: Where the rows come from, which must be the same when a call goes on.

    Raises:
        UserError: The folder has other shards or is being written to, or a row cannot be stored.
    """
    for option, value in (("max_count", max_count), ("max_size", max_size)):
        if value < 1:
            raise UserError(f"{option}={value} must be at least 1")
    options: JsonObject = {
        "source": dict(described or {}),
        "source_rows": len(source),
        "name": name,
        "max_count": max_count,
        "max_size": max_size,
        "on_error": on_error,
    }
    options = json.loads(json.dumps(options))
    with Claim(claim_file(folder)) as claim:
        if not claim.held:
            raise UserError(
                f"{folder} is being written by {claim.owner}; wait for it, or give another folder"
            )
        if (folder / INDEX / FACTS).is_file():
            return _finished(folder, options)
        parts = _begin(folder, options)
        accounts = [json.loads(json.dumps(each)) for each in read_accounts(parts)]
        start = accounts[-1]["stop"] if accounts else 0
        while start < len(source):
            number = len(parts)
            written = _write_one(source, start, folder / _tar(name, number), max_count, max_size, on_error)
            part = folder / PARTS / f"{number:06}.npz"
            written.save(part)
            parts.append(part)
            accounts.append(written.account)
            start = written.account["stop"]
        return _finish(source, folder, name, parts, accounts, options)


def _tar(name: str, number: int) -> str:
    return f"{name}-{number:06}.tar"


def _begin(folder: Path, options: JsonObject) -> list[Path]:
    """Return the parts that are there, of a call with the same options."""
    known = folder / PARTS / _OPTIONS
    if known.is_file():
        _check_options(folder, read_json_object(known), options)
        recover(folder)
        recover(folder / PARTS)
        return sorted((folder / PARTS).glob("*.npz"))
    if folder.exists() and (not folder.is_dir() or any(folder.glob("[!.]*"))):
        raise UserError(f"{folder} has other files; give a new folder")
    discard(folder / PARTS)
    write_text(known, json.dumps(options))
    return []


def _check_options(folder: Path, known: JsonObject, options: JsonObject) -> None:
    for name, value in options.items():
        if known.get(name) != value:
            raise UserError(
                f"{folder} was begun with {name}={known.get(name)}, not {value}; use the same, or give a new folder"
            )


def _write_one(
    source: Source, start: int, path: Path, max_count: int, max_size: int, on_error: str
) -> TarRows:
    """Write one shard of the rows from ``start`` on."""
    rows = TarRows()
    left_out: list[tuple[int, str, str]] = []
    fields: dict[str, list[str]] = {}
    index = start
    with (
        replacing(path) as new,
        new.open("wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        while index < len(source) and len(rows.keys) < max_count:
            identity = ""
            try:
                row = source[index]
                identity = row.id
                encoded = encode_row(row)
            except (ValueError, TypeError, OSError) as error:
                reason = " ".join(str(error).split())
                if on_error == "raise":
                    raise UserError(
                        f"row {index}: {reason} (--on-error skip leaves such rows out)"
                    ) from error
                left_out.append((index, identity, reason))
                index += 1
                continue
            size = sum(_blocks(content) for each in encoded.values() for content in each.values())
            if rows.keys and file.tell() + size > max_size:
                break
            _add(tar, file, rows, f"{index:010}", encoded)
            for name, members in encoded.items():
                fields[name] = sorted({*fields.get(name, ()), *map(unnumbered, members)})
            index += 1
    rows.filesize = path.stat().st_size
    rows.account = {"stop": index, "left_out": left_out, "fields": fields}
    return rows


def _blocks(content: bytes) -> int:
    return tarfile.BLOCKSIZE * (1 + -(-len(content) // tarfile.BLOCKSIZE))


def _add(
    tar: tarfile.TarFile,
    file: BinaryIO,
    rows: TarRows,
    key: str,
    encoded: Mapping[str, Mapping[str, bytes]],
) -> None:
    rows.keys.append(key)
    rows.members.append([])
    for members in encoded.values():
        for ending, content in members.items():
            info = tarfile.TarInfo(f"{key}.{ending}")  # time and owner are zero
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            padded = _blocks(content) - tarfile.BLOCKSIZE
            rows.members[-1].append(Member(ending, file.tell() - padded, len(content)))
    tar.members = []  # type: ignore[attr-defined]  # which it would keep


def _finish(
    source: Source,
    folder: Path,
    name: str,
    parts: list[Path],
    accounts: list[JsonObject],
    options: JsonObject,
) -> ShardReport:
    left_out = [(int(i), str(n), str(why)) for each in accounts for i, n, why in each["left_out"]]
    named = [(_tar(name, number), part) for number, part in enumerate(parts)]
    if sum(len(each["fields"]) for each in accounts) == 0:
        first = f"; the first: {left_out[0][2]}" if left_out else ""
        raise UserError(f"not one of {len(source)} rows can be stored{first}")
    fields: dict[str, set[str]] = {}
    for each in accounts:
        for field_name, endings in each["fields"].items():
            fields.setdefault(field_name, set()).update(endings)
    own = fields.pop("")
    facts = {
        "fields": {each: sorted(fields[each]) for each in source.modalities if each in fields},
        "labels": {each.partition(".")[0]: each for each in sorted(own - {ROW})},
        "classes": list(source.classes),
        "written": {**options, "left_out": len(left_out)},
    }
    if left_out:
        lines = (f"{index}\t{identity}\t{reason}\n" for index, identity, reason in left_out)
        write_text(folder / LEFT_OUT, "index\tid\treason\n" + "".join(lines))
    rows = merge_parts(named, folder / INDEX, facts)
    discard(folder / PARTS)
    return ShardReport(rows, len(parts), left_out)


def _finished(folder: Path, options: JsonObject) -> ShardReport:
    """Return the report of a call that had ended."""
    facts = read_json_object(folder / INDEX / FACTS)
    _check_options(folder, facts.get("written", {}), options)
    discard(folder / PARTS)
    left_out: list[tuple[int, str, str]] = []
    if (folder / LEFT_OUT).is_file():
        for line in (folder / LEFT_OUT).read_text(encoding="utf-8").splitlines()[1:]:
            index, identity, reason = line.split("\t", 2)
            left_out.append((int(index), identity, reason))
    return ShardReport(facts["rows"], len(facts["shards"]), left_out)


def count_reasons(left_out: list[tuple[int, str, str]]) -> list[tuple[str, int]]:
    """Return reasons without the names of files, and how many rows each has, the most frequent first."""
    counts = Counter(reason.rpartition(": ")[0] or reason for _, _, reason in left_out)
    return counts.most_common()
