"""Files in the formats of the benchmarks, small and made up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image


def text_file(path: Path, *lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def json_file(path: Path, content: Any) -> str:
    return text_file(path, json.dumps(content))


def json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    return text_file(path, *map(json.dumps, rows))


def pictures(folder: Path, names: Sequence[str], size: tuple[int, int] = (40, 30)) -> str:
    """Write noise of (width, height)."""
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return str(folder)


def sounds(folder: Path, names: Sequence[str], rate: int = 16_000) -> str:
    """Write a tenth of a second of noise."""
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, rate // 10), rate)
    return str(folder)
