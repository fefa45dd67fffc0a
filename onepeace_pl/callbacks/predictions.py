"""``predict`` writes what it has embedded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info

FOLDER = "predictions"


class Predictions(BasePredictionWriter):
    """Writes ``RUN/predictions/GALLERY.npz``: ``ids`` (N,), and for each modality unit vectors (N, D).

    With several processes each writes its own rows, to ``GALLERY-0.npz`` and so on.
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
        """Write one file for each gallery."""
        names = [gallery.name for gallery in trainer.datamodule.predicted]  # type: ignore[attr-defined]
        folder = Path(trainer.default_root_dir) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        rank = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
        for name, batches in zip(names, predictions if len(names) > 1 else [predictions], strict=True):
            vectors = {
                modality: np.concatenate(
                    [batch["embeddings"][modality].float().cpu().numpy() for batch in batches]
                )
                for modality in batches[0]["embeddings"]
            }
            ids = np.array([row for batch in batches for row in batch["ids"]])
            np.savez(folder / f"{name.replace('/', '-')}{rank}.npz", ids=ids, **vectors)  # type: ignore[arg-type]
        rank_zero_info(f"vectors: {folder}")
