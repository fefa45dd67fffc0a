"""What was measured of each row, gathered over batches and processes.

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
    """Columns of numbers or words, a line for each row; a process may have none.

    Rows that come twice (a sampler that evens out ranks) count once, by their number in the source.
    """

    def __init__(self) -> None:
        self._parts: list[Columns] = []

    def add(self, indices: Tensor, columns: Mapping[str, Tensor | Sequence[Any]]) -> None:
        """Take in a batch.

        Args:
            indices: (B,) int64, number of each row in its source.
            columns: Name -> (B, ...) of each row.
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
        """Return the columns over all processes, in the order of the rows; every process must call it."""
        parts = self._parts
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            everywhere: list[list[Columns] | None] = [None] * dist.get_world_size()
            dist.all_gather_object(everywhere, parts)
            parts = [part for theirs in everywhere for part in theirs or []]
        if not parts:
            return {"index": np.zeros(0, dtype=np.int64)}
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        _, first = np.unique(whole["index"], return_index=True)
        return {name: values[first] for name, values in whole.items()}
