"""Sets of reference numbers in shards are read as those in one file; incomplete ones fail."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from .files import tensors


def write_shards(state: dict[str, Tensor], folder: Path, count: int, index: bool) -> list[Path]:
    names, files = sorted(state), []
    for part in range(count):
        file = folder / f"pretrain_state-{part + 1:05d}-of-{count:05d}.safetensors"
        save_file({name: state[name] for name in names[part::count]}, file)
        files.append(file)
    if index:
        where = {name: files[i % count].name for i, name in enumerate(names)}
        (folder / "pretrain_state.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return files


@pytest.mark.parametrize("index", [True, False])
def test_shards(golden: Path, tmp_path: Path, index: bool) -> None:
    state = tensors(golden, "pretrain_state")
    write_shards(state, tmp_path, 3, index)
    found = tensors(tmp_path, "pretrain_state")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_incomplete_sets_fail(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tensors(tmp_path, "pretrain_state")
    files = write_shards({"a": torch.ones(1), "b": torch.ones(1)}, tmp_path, 2, index=True)
    index = tmp_path / "pretrain_state.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": files[0].name}}))
    with pytest.raises(ValueError, match="lists other tensors"):
        tensors(tmp_path, "pretrain_state")
    files[0].unlink()
    with pytest.raises(FileNotFoundError, match="2 shards; found 1"):
        tensors(tmp_path, "pretrain_state")
