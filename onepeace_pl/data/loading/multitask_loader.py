"""A loader that gives one batch of each of several tasks a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onepeace_pl.data.batches import Batch, MultiTaskBatch
from onepeace_pl.data.loading.loader import ResumableLoader, goes_on


class MultiTaskLoader:
    """Goes through the loaders of several tasks side by side, each in epochs of its own.

    The longest says how long an epoch of the run is; a shorter one starts anew, in another order, as often as it must,
    and goes on in the next epoch of the run where it was. So step `i` of epoch `e` takes batch `e * len(self) + i` of
    every loader: what a step reads is a function of that number, wherever a run was resumed.

    Args:
        loaders: Task -> its loader.
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
        """Number of steps of an epoch of the run, whatever is left out."""
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

    def state_dict(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on in the middle of an epoch; the run adds the place."""
        return {"tasks": self._layout()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at ``batches`` of ``epoch``; other tasks or batches start the epoch anew, with a warning."""
        if goes_on(state.get("tasks"), self._layout(), state):
            self._resume = (0 if self._fixed else state["epoch"], state["batches"])

    @property
    def _fixed(self) -> bool:
        return all(loader.batches.fixed for loader in self.loaders.values())

    def _layout(self) -> dict[str, dict[str, int]]:
        return {name: loader.layout for name, loader in self.loaders.items()}


def _batches(loader: ResumableLoader, number: int) -> Iterator[Batch]:
    """Yield the batches of a loader from that number on, counted through all its epochs, without an end."""
    epoch, start = divmod(number, len(loader))
    while True:
        loader.batches.set_epoch(epoch)
        loader.batches.resume(loader.batches.epoch, start)
        yield from loader
        epoch, start = epoch + 1, 0
