"""Weights of a run's best checkpoint, for the model folder, the report and the results."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from onepeace_pl.callbacks.interfaces import init_from
from onepeace_pl.utils.ranks import is_first_rank

META = "meta.pt"  # of Lightning, beside the shards of a checkpoint


@dataclass(frozen=True)
class WeightsOrigin:
    """Origin of evaluated or saved weights.

    Attributes:
        checkpoint: The checkpoint, seen from the run folder; None for the weights at the end of training.
        step: Updates that they have had.
        monitor: Name of the metric that chose the checkpoint.
        value: Its value.
        note: Why they are not those of the best checkpoint, where there is one.
    """

    checkpoint: str | None
    step: int
    monitor: str | None = None
    value: float | None = None
    note: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the known values as plain data."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        chosen = "" if self.monitor is None or self.value is None else f", {self.monitor} {self.value:.4g}"
        where = "the end of training" if self.checkpoint is None else self.checkpoint
        return f"{where} (step {self.step}{chosen}){f'; {self.note}' if self.note else ''}"


def best_checkpoint(trainer: L.Trainer) -> ModelCheckpoint | None:
    """Return the first callback that has chosen a checkpoint by a metric."""
    found = (c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor)
    return next((callback for callback in found if callback.best_model_path), None)


def last_weights(trainer: L.Trainer, note: str | None = None) -> WeightsOrigin:
    """Describe the weights that the module holds."""
    return WeightsOrigin(None, trainer.global_step, note=note)


def measured(trainer: L.Trainer, module: L.LightningModule) -> dict[str, object]:
    """Return the origin of the evaluated weights as plain data."""
    if trainer.state.fn == "fit":
        return last_weights(trainer).to_dict()
    given = trainer.ckpt_path or init_from(module)
    return {"checkpoint": str(given)} if given else {}


def read_best(trainer: L.Trainer, module: nn.Module) -> tuple[dict[str, Tensor], WeightsOrigin]:
    """Read the weights of the best checkpoint; none, where they are those that the module holds.

    Averages of weights are in a checkpoint in place of the weights that they average. Every rank must call it; where
    weights are sharded, each reads its shard, and the first gets whole weights, one at a time.
    """
    callback = best_checkpoint(trainer)
    if callback is None:
        return {}, last_weights(trainer)
    path = Path(callback.best_model_path)
    where = os.path.relpath(path, trainer.default_root_dir)
    if not path.exists():
        return {}, last_weights(trainer, f"the best, {where}, is not there")
    content = torch.load(path / META if path.is_dir() else path, "cpu", weights_only=True, mmap=True)
    score = None if callback.best_model_score is None else float(callback.best_model_score)
    origin = WeightsOrigin(where, content["global_step"], callback.monitor, score)
    if not path.is_dir():
        return content["state_dict"], origin
    try:
        return _gather(path, module), origin
    except KeyError as error:  # another layout, that of the older FSDP
        return {}, last_weights(trainer, f"{where} lacks {error}: `consolidate` may make one file of it")


def _gather(path: Path, module: nn.Module) -> dict[str, Tensor]:
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict_loader import load

    state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    known = FileSystemReader(path).read_metadata().state_dict_metadata
    for name in state:
        if f"state_dict.{name}" not in known:
            raise KeyError(name)
    load({"state_dict": state}, checkpoint_id=path)
    whole, first = {}, is_first_rank()
    for name, tensor in state.items():
        full = unsharded(tensor)
        if first:
            whole[name] = full.cpu()
    return whole


def unsharded(tensor: Tensor) -> Tensor:
    """Gather a sharded tensor, and return others as they are; every rank must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
