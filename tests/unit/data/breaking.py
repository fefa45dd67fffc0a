"""Files broken in every way, the same for the same seed."""

from __future__ import annotations

import copy
import json
import pickle
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

WRONG = (
    None, True, False, 0, -1, 0.5, 7, 10**6, -(10**12), 99999999999, 10**30, 10**400, 1e30, -1e308, float("nan"),
    float("inf"), float("-inf"), "", "x", "12", "-3", "NaN", "9" * 5000, "\ud83d", "a\0b", "../" * 40, "y" * 3000, [],
    {}, [[]], [None], [1, 2], [1.5] * 6, [float("nan")] * 8, [[1e30] * 6], [[float("inf")] * 6], {"a": {"b": [1]}},
    {"size": [8, 10], "counts": [3, 1000000]}, {"size": [8, 10], "counts": "\x7f~oo0"},
    {"size": [8, 10], "counts": [-1]},
)  # fmt: skip
CELLS = (
    "", "x", "-1", "nan", "inf", "1e999", "99999999999", "9" * 5000, "1,2,3", "1,2,3,4,5", "[1", "{}", "[[[[",
    "\\ud800",
    '{"a": NaN}', "\0", "\u0663", "a\0b", "&&&", "a|!+b|!+c", "True&&", "/9j/" + "A" * 2001, "iVBORw0KGgo!",
    "z" * 200_000,
)  # fmt: skip


def break_tree(content: Any, rng: np.random.Generator) -> Any:
    """Return a copy with one to three entries dropped, doubled, moved or replaced."""
    content = copy.deepcopy(content)
    for _ in range(int(rng.integers(1, 4))):
        parents = list(_containers(content))
        if not parents:
            return content
        parent = parents[int(rng.integers(len(parents)))]
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = keys[int(rng.integers(len(keys)))]
        what = rng.choice(["drop", "double", "replace", "replace", "replace", "nest", "swap"])
        if what == "drop":
            del parent[key]
        elif what == "double" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif what == "nest":
            parent[key] = [parent[key]]
        elif what == "swap":
            other = keys[int(rng.integers(len(keys)))]
            parent[key], parent[other] = parent[other], parent[key]
        else:
            parent[key] = copy.deepcopy(WRONG[int(rng.integers(len(WRONG)))])
    return content


def break_table(text: str, separator: str, rng: np.random.Generator) -> str:
    """Return the lines with one to three cells replaced, dropped or doubled."""
    rows = [line.split(separator) for line in text.rstrip("\n").split("\n")]
    for _ in range(int(rng.integers(1, 4))):
        row = rows[int(rng.integers(len(rows)))]
        place = int(rng.integers(len(row)))
        what = rng.choice(["replace", "replace", "replace", "drop", "double", "quote"])
        if what == "replace":
            row[place] = CELLS[int(rng.integers(len(CELLS)))]
        elif what == "double":
            row.insert(place, row[place])
        elif what == "quote":
            row[place] = f'"{row[place]}'
        elif len(row) > 1:
            del row[place]
    return "\n".join(map(separator.join, rows)) + "\n"


def break_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Return them cut off, with bits turned over, or with bytes that are no UTF-8; mostly untouched."""
    what = rng.random()
    if what < 0.05:
        return content[: int(rng.integers(len(content)))]
    if what < 0.1:
        changed = bytearray(content)
        for place in rng.integers(len(content), size=4):
            changed[place] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    return content + b"\xff\xfe" if what < 0.12 else content


def write_broken(path: Path, content: Any, seed: int) -> None:
    """Write a broken file of the kind that its ending names; text is a table, all else a tree."""
    rng = np.random.default_rng(seed)
    if isinstance(content, str):
        separator = "\t" if path.suffix == ".tsv" else ","
        written = break_table(content, separator, rng).encode("utf-8", "surrogatepass")
    elif path.suffix == ".p":
        written = pickle.dumps(break_tree(content, rng), protocol=2)
    elif path.suffix == ".jsonl":
        rows = break_tree(content, rng)
        written = "\n".join(map(_json, rows)).encode()
    else:
        written = _json(break_tree(content, rng)).encode()
    path.write_bytes(break_bytes(written, rng))


@contextmanager
def little_memory(more: int = 2 << 30) -> Iterator[None]:
    """Let this process take so many bytes more; what asks for more fails."""
    if sys.platform != "linux":
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _json(content: Any) -> str:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(content)
    finally:
        sys.set_int_max_str_digits(before)


def _containers(content: Any) -> Iterator[Any]:
    if isinstance(content, dict | list) and content:
        yield content
        for value in list(content.values() if isinstance(content, dict) else content):
            yield from _containers(value)
