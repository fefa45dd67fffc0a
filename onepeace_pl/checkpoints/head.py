"""Task heads in a model folder: weights (``task.safetensors``) and config (``task.json``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from onepeace_pl.checkpoints.folder import EXTRA, HEAD, TASK, write_tensors
from onepeace_pl.checkpoints.heads import head_from_official
from onepeace_pl.checkpoints.loading import is_experiment, read_safetensors, state_dict_of
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.data.data_info import DataInfo, class_difference
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import JsonObject, read_json_object

PREFIX = "task."


@dataclass(frozen=True)
class Head:
    """Weights and config of a task.

    Attributes:
        state: The weights.
        config: Class path, constructor arguments and ``data_info``, as far as the source has them.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    config: JsonObject = field(default_factory=dict)

    def line(self) -> str:
        """Return a summary."""
        name = str(self.config.get("class_path") or "a task").rpartition(".")[2]
        classes = (self.config.get("data_info") or {}).get("classes") or ()
        of_classes = f", {len(classes)} classes" if classes else ""
        return f"head: {len(self.state)} tensors of {name}{of_classes}, kept in {HEAD}"


def save_head(folder: Path, state: Mapping[str, Tensor], config: JsonObject) -> None:
    """Write a task's weights and config; without weights nothing is written, and older files are removed."""
    write_tensors(folder / HEAD, state)
    if state:
        write_text(folder / TASK, json.dumps(config, indent=2) + "\n")
    else:
        (folder / TASK).unlink(missing_ok=True)


def head_of_folder(folder: Path) -> Head:
    """Read the head that :func:`save_head` has written; an empty one if there is none."""
    if not (folder / HEAD).is_file():
        return Head()
    config = read_json_object(folder / TASK) if (folder / TASK).is_file() else {}
    return Head(read_safetensors(folder / HEAD), config)


def head_of_checkpoint(state: Mapping[str, Tensor], hyper_parameters: object) -> Head:
    """Return the head in a Lightning checkpoint of this package."""
    stored = plain(hyper_parameters or {})
    task, data_info = stored.get("task") or {}, stored.get("data_info") or {}
    mine = {name.removeprefix(PREFIX): t for name, t in state.items() if name.startswith(PREFIX)}
    return Head(mine, {**task, "data_info": data_info} if task or data_info else {})


def read_head(source: str | Path) -> Head:
    """Read a task's head from a model folder, a checkpoint of ours or an official file; empty if it has none."""
    path = Path(source)
    if path.is_dir():
        if (path / EXTRA).is_file() and not (path / HEAD).is_file():
            return _official(read_safetensors(path / EXTRA))
        return head_of_folder(path)
    if path.suffix == ".safetensors":
        return _official(read_safetensors(path))
    content = read_pickle(path)
    state = state_dict_of(content, path)
    if isinstance(content, Mapping) and is_experiment(state):
        return head_of_checkpoint(state, content.get("hyper_parameters"))
    return _official(state)


def load_head(
    task: nn.Module,
    source: str | Path,
    is_class_agnostic: Callable[[str], bool] | None = None,
    data_info: DataInfo | None = None,
) -> str:
    """Load a task's weights in place, if the source has them.

    Args:
        task: The task.
        source: A model folder, a checkpoint of ours or an official file.
        is_class_agnostic: Whether a weight is loaded, where only some are; those of other sizes are not.
        data_info: Its classes must be those of the head, in the same order.

    Returns:
        A summary in one line; empty for a task without weights.

    Raises:
        UserError: The source's head is of other classes, or has other sizes.
    """
    own = dict(task.named_parameters()) | dict(task.named_buffers())
    if not own:
        return ""
    head = read_head(source)
    found = head.state
    if not found:
        return f"head: new; {source} has none"
    if is_class_agnostic is not None:
        kept = {
            n: t for n, t in found.items() if is_class_agnostic(n) and n in own and own[n].shape == t.shape
        }
        task.load_state_dict(kept, strict=False)
        return (
            f"head: new but for {len(kept)} of {len(own)} tensors, those of {source}" if kept else "head: new"
        )
    if found.keys() != own.keys():
        return f"head: new; that of {source} belongs to another task"
    compared = data_info is None or _check_classes(data_info, head.config.get("data_info") or {}, source)
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"the head of {source} has {name} of shape {tuple(tensor.shape)}, this task wants "
                f"{tuple(own[name].shape)}: another number of classes? Give the data the classes that it was "
                "trained with, or set model.new_head to true"
            )
    task.load_state_dict(found)
    return f"head: from {source}" + (
        "" if compared else ", which names no classes: taken for those of the data, in their order"
    )


def plain(options: object) -> JsonObject:
    """Return a mapping, or a parser's namespace, as plain data."""
    items = options if isinstance(options, Mapping) else vars(options)
    return {
        name: plain(value) if isinstance(value, Mapping) or hasattr(value, "__dict__") else value
        for name, value in items.items()
    }


def _check_classes(data_info: DataInfo, stored: JsonObject, source: str | Path, task: str = "") -> bool:
    """Reject a head of other classes, or in another order; return whether its classes are known."""
    known = True
    if data_info.classes:
        classes = stored.get("classes")
        known = bool(classes)
        if classes and (difference := class_difference(classes, data_info.classes)):
            raise UserError(
                f"{task}the head of {source} was trained with other classes than the data have: {difference}; give the "
                "data those classes in that order (classes: [...]), or set model.new_head to true"
            )
    tasks = stored.get("tasks") or {}
    every = [
        _check_classes(f, tasks.get(n) or {}, source, f"task {n!r}: ") for n, f in data_info.tasks.items()
    ]
    return known and all(every)


def _official(state: Mapping[str, Tensor]) -> Head:
    return Head({f"head.{name}": tensor for name, tensor in head_from_official(state).items()})
