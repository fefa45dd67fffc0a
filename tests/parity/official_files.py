"""Official checkpoint files assembled from the reference numbers."""

import pickle
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from onepeace_pl.checkpoints.names import official_buffers

from .files import own_state, record, table, tensors
from .test_names import MODELS

HEADS = ("nlvr2", "vqa", "aqa", "fsd50k", "vggsound", "image", "refcoco", "refcocog", "text_cls_pool")


@cache
def _buffers(golden: Path) -> dict[tuple[str, tuple[int, ...]], Tensor]:
    """Position buffers by name and shape, of all models there are (their content is checked elsewhere)."""
    found = {}
    for make in MODELS.values():
        found |= {(name, tuple(t.shape)): t for name, t in official_buffers(make(golden)).items()}
    return found


def official_model(golden: Path, model: str, changed: str | None = None) -> dict[str, Tensor]:
    """Assemble a model as the reference folder's README says, with its position buffers.

    Args:
        golden: The folder of reference numbers.
        model: Its name in ``state_keys.json``.
        changed: The file whose ``state.*`` tensors lie over the pretraining state.
    """
    pretrained = tensors(golden, "pretrain_state")
    laid_over = {} if changed is None else own_state(golden, changed)
    state = {}
    for row in record(golden, "state_keys")[model]:
        name, shape = row["name"], tuple(row["shape"])
        if row["kind"] == "buffer":
            state[name] = _buffers(golden)[name, shape].clone()
        elif name in laid_over:
            state[name] = laid_over[name]
        else:
            assert pretrained[name].shape == shape, name
            state[name] = pretrained[name]
    return state


def official_content(golden: Path, state: dict[str, Tensor], run: str | None = None) -> dict:
    """Nest a state as the original's trainer does."""
    cfg = None
    if run is not None:
        tables = table(golden, run)
        cfg = {"_name": None, "model": tables["model"], "task": tables["task"]}
    history = [{"criterion_name": "X", "lr_scheduler_state": {"best": None}, "num_updates": 0}]
    extra = {
        "metrics": {"default": [(0, "loss", "AverageMeter", {"val": 1.0})]},
        "previous_training_time": 1.0,
    }
    return {
        "args": None,
        "cfg": cfg,
        "model": state,
        "criterion": None,
        "optimizer_history": history,
        "task_state": {},
        "extra_state": extra,
    }


def write(path: Path, golden: Path, state: dict[str, Tensor], run: str | None = None) -> Path:
    torch.save(official_content(golden, state, run), path)
    return path


def vision_file(path: Path, state: dict[str, Tensor], arrays: bool = False) -> Path:
    model = {name: tensor.numpy() if arrays else tensor for name, tensor in state.items()}
    with path.open("wb") as file:
        pickle.dump({"model": model, "__author__": "ofa", "matching_heuristics": True}, file)
    return path
