"""Data loader of multi-task training: one batch of each task a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onepeace_pl.data.batches import Batch, MultiTaskBatch
from onepeace_pl.data.loading.loader import ResumableLoader, resume_position


class MultiTaskLoader:
    """Iterates over the loaders of several tasks in parallel, each with its own epochs.

    The longest loader sets the length of an epoch of the run; shorter ones restart, in another order, and continue in
    the next epoch of the run. So step `i` of epoch `e` takes batch `e * len(self) + i` of
    every loader: what a step reads is a function of that number, wherever a run was resumed.

    Args:
        loaders: Loaders by task.
    """

    def __init__(self, loaders: Mapping[str, ResumableLoader]) -> None:
        self.loaders = dict(loaders)
        self.epoch = 0
        self._resume: tuple[int, int] | None = None

    @property
    def sampler(self) -> MultiTaskLoader:
        """Return itself: Lightning looks under this name for whose `set_epoch` to call."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; it stays the first where all loaders draw that again and again."""
        self.epoch = 0 if self._fixed else epoch

    def __len__(self) -> int:
        """Number of steps of an epoch of the run, skipped ones included."""
        return max(map(len, self.loaders.values()))

    def __iter__(self) -> Iterator[MultiTaskBatch]:
        # Nothing happens before the first batch is asked for: a run that goes on sets the epoch only after this.
        epoch, start = self.epoch, 0
        if self._resume is not None and self._resume[0] == epoch:
            start = self._resume[1]
        self._resume = None
        streams = {name: _batches(loader, epoch * len(self) + start) for name, loader in self.loaders.items()}
        for _ in range(start, len(self)):
            yield MultiTaskBatch.of({name: next(stream) for name, stream in streams.items()}, epoch)

    def state_dict(self) -> dict[str, object]:
        """Return the layouts, which must be the same to resume in the middle of an epoch; the run adds the position."""
        return {"tasks": self._layout()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Resume at ``batches`` of ``epoch``; other tasks or layouts restart the epoch, with a warning."""
        position = resume_position(state.get("tasks"), self._layout(), state)
        if position is not None:
            epoch, batches = position
            self._resume = (0 if self._fixed else epoch, batches)

    @property
    def _fixed(self) -> bool:
        return all(loader.batches.fixed for loader in self.loaders.values())

    def _layout(self) -> dict[str, dict[str, int | str]]:
        return {name: loader.layout for name, loader in self.loaders.items()}


def _batches(loader: ResumableLoader, number: int) -> Iterator[Batch]:
    """Yield batches endlessly, from a position counted over all epochs of the loader."""
    epoch, start = divmod(number, len(loader))
    while True:
        loader.batches.set_epoch(epoch)
        loader.batches.resume(loader.batches.epoch, start)
        yield from loader
        epoch, start = epoch + 1, 0
