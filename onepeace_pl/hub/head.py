"""Heads of tasks beside a model's weights: ``task.safetensors``, and ``task.json``, which says what it is a head of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from onepeace_pl.backbone.loading import is_experiment, read_safetensors, state_dict_of
from onepeace_pl.backbone.pickles import read_pickle
from onepeace_pl.files import write_text
from onepeace_pl.heads.official import head_from_official
from onepeace_pl.hub.folder import EXTRA, write_tensors

HEAD, TASK = "task.safetensors", "task.json"
_PREFIX = "task."


def save_head(folder: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write a task's weights and what it is; of a task without weights nothing is written, and older files go."""
    write_tensors(folder / HEAD, state)
    if state:
        write_text(folder / TASK, json.dumps(description, indent=2) + "\n")
    else:
        (folder / TASK).unlink(missing_ok=True)


def read_head(source: str | Path) -> dict[str, Tensor]:
    """Read a task's weights from a model folder, a checkpoint of ours or an official file; empty if it has none."""
    path = Path(source)
    if path.is_dir():
        if (path / HEAD).is_file():
            return read_safetensors(path / HEAD)
        if (path / EXTRA).is_file():
            return _official(read_safetensors(path / EXTRA))
        return {}
    if path.suffix == ".safetensors":
        return _official(read_safetensors(path))
    state = state_dict_of(read_pickle(path), path)
    if is_experiment(state):
        return {name.removeprefix(_PREFIX): t for name, t in state.items() if name.startswith(_PREFIX)}
    return _official(state)


def load_head(task: nn.Module, source: str | Path, survives: Callable[[str], bool] | None = None) -> str:
    """Load a task's weights in place, if the source has those of such a task.

    Args:
        task: The task.
        source: A model folder, a checkpoint of ours or an official file.
        survives: Says of each weight whether it is loaded, where only some are; those of other sizes are not.

    Returns:
        One line that says what became of them; empty where the task has none.

    Raises:
        ValueError: The source's head has other sizes, for instance another number of classes.
    """
    own = dict(task.named_parameters()) | dict(task.named_buffers())
    if not own:
        return ""
    found = read_head(source)
    if not found:
        return f"head: new; {source} has none"
    if survives is not None:
        kept = {n: t for n, t in found.items() if survives(n) and n in own and own[n].shape == t.shape}
        task.load_state_dict(kept, strict=False)
        return (
            f"head: new but for {len(kept)} of {len(own)} tensors, those of {source}" if kept else "head: new"
        )
    if found.keys() != own.keys():
        return f"head: new; that of {source} belongs to another task"
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"the head of {source} has {name} of shape {tuple(tensor.shape)}, this task wants "
                f"{tuple(own[name].shape)}: another number of classes? Give the data the classes that it was "
                "trained with, or set model.new_head to true"
            )
    task.load_state_dict(found)
    return f"head: from {source}"


def _official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"head.{name}": tensor for name, tensor in head_from_official(state).items()}
