"""Distributed batch samplers; batches are the same for any number of workers.

Batch order: docs/reference/pretraining.md, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from torch.utils.data import Sampler

from onepeace_pl.data.loading.permutation import FeistelPermutation, Indices
from onepeace_pl.errors import UserError

Shuffle = Literal["stored", "computed"]
_BUCKET = 64  # batches of all ranks among which lengths are sorted


class Place(NamedTuple):
    """Place in an epoch where reading begins.

    Attributes:
        epoch: The epoch.
        batch: Number of the first batch.
        row: Number of rows of the epoch, on all ranks, that come before it.
    """

    epoch: int
    batch: int
    row: int


class EpochBatchSampler(Sampler[list[tuple[int, int]]]):
    """Distributed batch sampler of (epoch, index) keys.

    In training, indices are shuffled by seed and epoch and the first are repeated until every rank has the same number
    of batches, all full. There are two orders:

    * ``stored``: an array, shuffled with ``seed + epoch``; each rank takes a contiguous block of it. As in the
      original.
    * ``computed``: a :class:`FeistelPermutation`, which takes no memory and no time to begin, however many rows there
      are. Each step takes the next rows of the order, divided among the ranks. So the rows that an epoch has read are
      the first of its order, and another number of ranks, or of rows in a batch, can go on with the next.

    Outside training rows keep their order, the last batch may be short, and only several ranks repeat the first rows
    (drop those by their index).

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
        shuffle: Order of training, "stored" or "computed".
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
        shuffle: Shuffle = "stored",
    ) -> None:
        if size < 1:
            raise UserError("the source has no rows, so there are no batches; check its path and split")
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size} must be at least 1")
        if lengths is not None and len(lengths) != size:
            raise UserError(f"{len(lengths)} lengths for {size} rows; give one a row")
        if shuffle not in get_args(Shuffle):
            raise UserError(f"shuffle={shuffle!r} is unknown; choose from {', '.join(get_args(Shuffle))}")
        if shuffle == "computed" and lengths is not None:
            raise UserError("batches of similar length sort a stored order; use shuffle: stored for them")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.train = train
        self.rank = rank
        self.world_size = world_size
        self.lengths = None if lengths is None else np.asarray(lengths, dtype=np.float64)
        self.fixed = fixed
        self.shuffle: Shuffle = shuffle
        self.epoch = 0
        self._place = Place(0, 0, 0)
        self._resume: Place | None = None

    @property
    def sampler(self) -> EpochBatchSampler:
        """Return itself: Lightning looks under this name for whose `set_epoch` to call."""
        return self

    @property
    def rows_per_step(self) -> int:
        """Rows that all ranks read in a step."""
        return self.world_size * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = 0 if self.fixed else epoch

    def resume(self, epoch: int, batches: int) -> None:
        """Skip that many batches when that epoch is iterated next."""
        self._resume = Place(0 if self.fixed else epoch, batches, batches * self.rows_per_step)

    def resume_after(self, epoch: int, rows: int) -> None:
        """Skip that many rows of a computed order when that epoch is iterated next, wherever a batch would begin.

        The batches that are left get the last numbers of the epoch.
        """
        left = -(-max(self.size - rows, 0) // self.rows_per_step)
        self._resume = Place(0 if self.fixed else epoch, len(self) - left, rows)

    def start(self) -> Place:
        """Return where the next iteration begins."""
        resumes = self._resume is not None and self._resume.epoch == self.epoch
        return self._resume if self._resume is not None and resumes else Place(self.epoch, 0, 0)

    def place(self) -> Place:
        """Return where the current iteration began, or the next one where a run is to go on."""
        return self._place if self._resume is None else self._resume

    def __len__(self) -> int:
        """Number of batches of a whole epoch on this rank, skipped ones included."""
        share = -(-self.size // self.world_size)
        return -(-share // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        start = self._place = self.start()
        self._resume = None
        batch = self._order(start)
        for number in range(start.batch, len(self)):
            yield [(start.epoch, int(index)) for index in batch(number)]

    def _order(self, start: Place) -> Callable[[int], Indices]:
        """Return the function from the number of a batch to its indices."""
        if not self.train:
            return self._in_order
        if self.shuffle == "stored":
            return self._stored(start.epoch).__getitem__
        permutation, offset = (
            FeistelPermutation(self.size, self.seed, start.epoch),
            self.rank * self.batch_size,
        )

        def computed(number: int) -> Indices:
            first = start.row + (number - start.batch) * self.rows_per_step + offset
            return permutation(np.arange(first, first + self.batch_size) % self.size)

        return computed

    def _in_order(self, number: int) -> Indices:
        share = -(-self.size // self.world_size)
        first = number * self.batch_size
        last = min(first + self.batch_size, share)
        return (self.rank * share + np.arange(first, last)) % self.size

    def _stored(self, epoch: int) -> Sequence[Indices]:
        """Return this rank's batches of an epoch."""
        order = np.arange(self.size)
        np.random.RandomState(self.seed + epoch).shuffle(order)
        steps = len(self)
        order = np.resize(order, steps * self.rows_per_step)
        if self.lengths is not None:
            return self._by_length(order, epoch)
        return list(order.reshape(self.world_size, steps, self.batch_size)[self.rank])

    def _by_length(self, order: Indices, epoch: int) -> list[Indices]:
        assert self.lengths is not None
        together = self.rows_per_step
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
