"""Tars and sources to make shards of."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from onepeace_pl.data.source import Row, RowList


def tar(path: Path, members: dict[str, bytes]) -> Path:
    """Write a tar with these members, as other programs do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(content), 1_700_000_000, "bigdata"
            file.addfile(info, io.BytesIO(content))
    return path


def png(seed: int, side: int = 8) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def samples(first: int, count: int) -> dict[str, bytes]:
    """Return members of pictures and captions."""
    return {
        f"{number:06}.{ending}": content
        for number in range(first, first + count)
        for ending, content in (("png", png(number)), ("txt", f"picture {number}".encode()))
    }


def rows(count: int) -> RowList:
    return RowList(
        [
            Row(
                f"id{n // 2}",
                {"image": png(n), "text": f"picture {n}"},
                {"class": n % 3, "box": [1.0, 2, 3, 4]},
            )
            for n in range(count)
        ],
        classes=("a", "b", "c"),
    )
