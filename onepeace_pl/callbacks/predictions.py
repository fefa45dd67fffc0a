"""Prediction files of ``predict``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info
from PIL import Image
from torch import Tensor

from onepeace_pl.callbacks.interfaces import datamodule_of, task_of
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.needs import TaskDataModule
from onepeace_pl.errors import UserError
from onepeace_pl.training.task import Prediction
from onepeace_pl.utils.files import replacing, write_text

FOLDER = "predictions"
IMAGES = {"drawing": "", "mask": "-masks"}  # of predictions -> ending of the folder that they go to


class PredictedBatch(TypedDict):
    """What ``predict_step`` returns.

    Attributes:
        ids: Of the rows.
        answers: Of a task that answers, one a row.
        embeddings: Of other tasks: modality -> unit vectors (B, D).
    """

    ids: list[str]
    answers: NotRequired[list[Prediction]]
    embeddings: NotRequired[dict[str, Tensor]]


class Predictions(BasePredictionWriter):
    """Writes ``RUN/predictions/SET.jsonl``: the answers of a task, a line a row, with its id.

    What a task draws goes to ``SET/ID.png``, masks to ``SET-masks/ID.png``, batch by batch, and what it exports to
    ``SET.ENDING``.
    For a task without answers it is ``SET.npz``: ``ids`` (N,), and for each modality unit vectors (N, D). With
    several processes each writes its own rows, to ``SET-0.jsonl`` and so on.
    """

    def __init__(self) -> None:
        super().__init__(write_interval="batch_and_epoch")

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: PredictedBatch,
        batch_indices: Sequence[int] | None,
        batch: object,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write images, which are too many to be kept."""
        each = _predicted(trainer)[dataloader_idx]
        for row, answer in zip(prediction["ids"], prediction.get("answers") or (), strict=False):
            for kind, ending in IMAGES.items():
                image = answer.pop(kind, None)
                if image is None:
                    continue
                folder = Path(trainer.default_root_dir) / FOLDER / f"{_file_name(each.name)}{ending}"
                with replacing(folder / f"{_file_name(row)}.png") as new:
                    Image.fromarray(image).save(new)

    def write_on_epoch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        predictions: Sequence[object],
        batch_indices: Sequence[object],
    ) -> None:
        """Write one file for each set."""
        sets = _predicted(trainer)
        # of a single loader, Lightning gives the batches themselves
        by_set = cast(Sequence[Sequence[PredictedBatch]], predictions if len(sets) > 1 else [predictions])
        folder = Path(trainer.default_root_dir) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        rank = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
        for each, batches in zip(sets, by_set, strict=True):
            path = folder / f"{_file_name(each.name)}{rank}"
            if not batches:
                continue
            if "answers" in batches[0]:
                answers = [
                    {"id": row, **answer}
                    for batch in batches
                    for row, answer in zip(batch["ids"], batch["answers"], strict=True)
                ]
                lines = "\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
                texts = {"jsonl": f"{lines}\n" if lines else "", **_exported(pl_module, each, answers)}
                for ending, text in texts.items():
                    write_text(path.with_name(f"{path.name}.{ending}"), text)
                continue
            vectors = {
                modality: np.concatenate(
                    [batch["embeddings"][modality].float().cpu().numpy() for batch in batches]
                )
                for modality in batches[0]["embeddings"]
            }
            ids = np.array([row for batch in batches for row in batch["ids"]], np.str_)
            with replacing(path.with_name(f"{path.name}.npz")) as new:
                np.savez(new, ids=ids, **vectors)  # type: ignore[arg-type]
        rank_zero_info(f"predictions: {folder}")


def _predicted(trainer: L.Trainer) -> list[EvaluationSet]:
    data = datamodule_of(trainer)
    if not isinstance(data, TaskDataModule):
        raise UserError("predictions are named after the sets of a TaskDataModule; give the Trainer one")
    return data.predicted


def _exported(
    module: L.LightningModule, each: EvaluationSet, answers: Sequence[Prediction]
) -> Mapping[str, str]:
    task = task_of(module)
    return {} if task is None else task.export(each, answers)


def _file_name(name: str) -> str:
    return name.replace("/", "-")
