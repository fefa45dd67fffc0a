"""Reading a set of reference numbers: ``tests/parity/golden``, or another of its layout in ``ONEPEACE_PL_GOLDEN``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor


def tensors(golden: Path, name: str) -> dict[str, Tensor]:
    """Read ``NAME.safetensors``, or its shards ``NAME-00001-of-00002.safetensors`` and so on, index or not."""
    whole, parts = golden / f"{name}.safetensors", sorted(golden.glob(f"{name}-*-of-*.safetensors"))
    if not parts:
        return load_file(whole)
    count = int(parts[0].stem.rpartition("-")[2])
    if whole.exists() or len(parts) != count:
        raise FileNotFoundError(
            f"{golden}: {name} should be one file or {count} shards; found {len(parts)} shards"
        )
    found = {key: tensor for part in parts for key, tensor in load_file(part).items()}
    index = golden / f"{name}.safetensors.index.json"
    if index.exists() and json.loads(index.read_text())["weight_map"].keys() != found.keys():
        raise ValueError(f"{index} lists other tensors than the shards hold")
    return found


def record(golden: Path, name: str) -> Any:
    """Read ``NAME.json``."""
    return json.loads((golden / f"{name}.json").read_text())


def table(golden: Path, run: str) -> Any:
    """Read the configuration of a model or run, as the original resolved it."""
    return record(golden, "config")["tables"][run]


def own_state(golden: Path, name: str) -> dict[str, Tensor]:
    """Read what a fine-tuned model has besides the pretraining state."""
    return {n.removeprefix("state."): t for n, t in tensors(golden, name).items() if n.startswith("state.")}
