"""Per-row measurements, gathered over batches and ranks.

Shapes: B rows of a batch, N rows in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

Columns = dict[str, NDArray[Any]]


class RowTable:
    """Table of per-row measurements; a rank may have none.

    Rows that a distributed sampler repeats count once, by their index in the source.
    """

    def __init__(self) -> None:
        self._parts: list[Columns] = []

    def add(self, indices: Tensor, columns: Mapping[str, Tensor | Sequence[object]]) -> None:
        """Add a batch.

        Args:
            indices: (B,) int64, index of each row in its source.
            columns: Values (B, ...) by name.
        """
        part: Columns = {"index": indices.cpu().numpy()}
        for name, values in columns.items():
            part[name] = (
                values.detach().float().cpu().numpy()
                if isinstance(values, Tensor)
                else np.array(values, dtype=object)
            )
        self._parts.append(part)

    def gather(self) -> Columns:
        """All-gather the columns, sorted by row; every rank must call it."""
        parts = self._parts
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            gathered: list[list[Columns] | None] = [None] * dist.get_world_size()
            dist.all_gather_object(gathered, parts)
            parts = [part for theirs in gathered for part in theirs or []]
        if not parts:
            return {"index": np.zeros(0, dtype=np.int64)}
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        _, first = np.unique(whole["index"], return_index=True)
        return {name: values[first] for name, values in whole.items()}
