"""What a cell's result depends on, as one short word: its commands and the content of every config file behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onepeace_pl.cli.merge import content_of, family
from onepeace_pl.sweeps.trials import Trial


def fingerprint(cell: Trial) -> str:
    """Return a digest that changes when a command or a config file says something else.

    Where the files lie does not matter, nor their comments, nor where the run writes. Not seen are changes of the
    code, of data and of model folders.
    """
    said = [list(_content(step.words, str(cell.folder))) for step in cell.steps]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]


def _content(words: tuple[str, ...], folder: str) -> Iterator[Any]:
    for word in words:
        option, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value.endswith((".yaml", ".yml")) and Path(value).is_file():
            yield [option, *map(content_of, family(Path(value)))]
        elif word != folder:
            yield word
