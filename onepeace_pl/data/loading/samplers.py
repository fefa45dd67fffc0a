"""Distributed batch samplers; batches are the same for any number of workers.

Batch order: docs/reference/pretraining.md, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from onepeace_pl.errors import UserError

Indices = npt.NDArray[np.int64]
_BUCKET = 64  # batches of all ranks among which lengths are sorted


class EpochBatchSampler(Sampler[list[tuple[int, int]]]):
    """Distributed batch sampler of (epoch, index) keys.

    In training, indices are shuffled with ``seed + epoch`` and the first are repeated until every rank has
    the same number of batches, all full; each rank takes a contiguous block of them. Outside training rows
    keep their order, the last batch may be short, and only several ranks repeat the first rows (drop those by
    their index).

    Args:
        size: Number of rows.
        batch_size: Rows in a batch of one rank.
        seed: Seed of the order.
        train: Shuffle, and make all batches full.
        rank: Number of this process.
        world_size: Number of processes.
        lengths: Length of each row in any unit. Batches then hold rows of similar length; which rows an epoch
            has stays the same, and ranks get similar lengths at the same step.
        fixed: Draw the first epoch again and again (to overfit a few batches on purpose).
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int = 0,
        train: bool = True,
        rank: int = 0,
        world_size: int = 1,
        lengths: Sequence[float] | None = None,
        fixed: bool = False,
    ) -> None:
        if size < 1:
            raise UserError("the source has no rows, so there are no batches; check its path and split")
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size} must be at least 1")
        if lengths is not None and len(lengths) != size:
            raise UserError(f"{len(lengths)} lengths for {size} rows; give one a row")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.train = train
        self.rank = rank
        self.world_size = world_size
        self.lengths = None if lengths is None else np.asarray(lengths, dtype=np.float64)
        self.fixed = fixed
        self.epoch = 0
        self._resume: tuple[int, int] | None = None

    @property
    def sampler(self) -> EpochBatchSampler:
        """Return itself: Lightning looks under this name for whose `set_epoch` to call."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = 0 if self.fixed else epoch

    def resume(self, epoch: int, batches: int) -> None:
        """Skip that many batches when that epoch is iterated next."""
        self._resume = (0 if self.fixed else epoch, batches)

    def start(self) -> int:
        """Return how many batches the next iteration skips."""
        return self._resume[1] if self._resume is not None and self._resume[0] == self.epoch else 0

    def __len__(self) -> int:
        """Number of batches of a whole epoch on this rank, skipped ones included."""
        share = -(-self.size // self.world_size)
        return -(-share // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, start = self.epoch, self.start()
        self._resume = None
        for indices in self.batches(epoch)[start:]:
            yield [(epoch, int(index)) for index in indices]

    def batches(self, epoch: int) -> list[Indices]:
        """Return this rank's batches of an epoch, as indices."""
        order = np.arange(self.size)
        if not self.train:
            share = -(-self.size // self.world_size)
            order = np.resize(order, share * self.world_size)[self.rank * share : (self.rank + 1) * share]
            return [order[at : at + self.batch_size] for at in range(0, share, self.batch_size)]
        np.random.RandomState(self.seed + epoch).shuffle(order)
        steps = len(self)
        order = np.resize(order, steps * self.world_size * self.batch_size)
        if self.lengths is not None:
            return self._by_length(order, epoch)
        return list(order.reshape(self.world_size, steps, self.batch_size)[self.rank])

    def _by_length(self, order: Indices, epoch: int) -> list[Indices]:
        assert self.lengths is not None
        together = self.world_size * self.batch_size
        reach = _BUCKET * together
        parts = [order[at : at + reach] for at in range(0, len(order), reach)]
        ordered = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in parts])
        random = np.random.RandomState(self.seed + epoch)
        steps = ordered.reshape(-1, self.world_size, self.batch_size)[
            random.permutation(len(ordered) // together)
        ]
        # not shortest first: a task may give the first rows a part of their own
        return [random.permutation(batch) for batch in steps[:, self.rank]]


def interleaved(size: int, rank: int, world_size: int) -> list[int]:
    """Return the rows of a rank, equally many on all ranks, since a sharded model needs all of them for every batch.

    Those are every ``world_size``-th row from ``rank`` on; ranks that would have one row less end with one of the
    first rows, which :func:`is_own` excludes.
    """
    return [index % size for index in range(rank, -(-size // world_size) * world_size, world_size)]


def is_own(index: int, rank: int, world_size: int) -> bool:
    """Whether a row of :func:`interleaved` is this rank's own, rather than padding."""
    return index % world_size == rank
