"""``predict`` writes what it has embedded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info

FOLDER = "predictions"


class Predictions(BasePredictionWriter):
    """Writes ``RUN/predictions/SET.jsonl``: the answers of a task, a line a row, with its id.

    For a task without answers it is ``SET.npz``: ``ids`` (N,), and for each modality unit vectors (N, D). With
    several processes each writes its own rows, to ``SET-0.jsonl`` and so on.
    """

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")

    def write_on_epoch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        """Write one file for each set."""
        names = [each.name for each in trainer.datamodule.predicted]  # type: ignore[attr-defined]
        folder = Path(trainer.default_root_dir) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        rank = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
        for name, batches in zip(names, predictions if len(names) > 1 else [predictions], strict=True):
            path = folder / f"{name.replace('/', '-')}{rank}"
            if "answers" in batches[0]:
                lines = [
                    json.dumps({"id": row, **answer}, ensure_ascii=False)
                    for batch in batches
                    for row, answer in zip(batch["ids"], batch["answers"], strict=True)
                ]
                path.with_name(f"{path.name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
                continue
            vectors = {
                modality: np.concatenate(
                    [batch["embeddings"][modality].float().cpu().numpy() for batch in batches]
                )
                for modality in batches[0]["embeddings"]
            }
            ids = np.array([row for batch in batches for row in batch["ids"]])
            np.savez(path.with_name(f"{path.name}.npz"), ids=ids, **vectors)  # type: ignore[arg-type]
        rank_zero_info(f"predictions: {folder}")
