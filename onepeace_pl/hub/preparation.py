"""Parallel preprocessing: items are decoded in threads while the model embeds those before them.

Decoders, resizing and resampling release the interpreter lock, so that threads suffice; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from onepeace_pl.errors import UserError

T = TypeVar("T")
Key = TypeVar("Key")


def prepared(
    prepare: Callable[[int], T], count: int, window: int, num_workers: int = 0
) -> Generator[dict[int, T], None, None]:
    """Yield items by their number, a window at a time.

    With workers at most two windows are in memory: the one that was yielded, and the next, which is being prepared.
    Close the iterator (``contextlib.closing``) to stop it early: items in progress are finished, no others begun.

    Args:
        prepare: Prepares the item of a number; called in other threads if there are workers.
        count: Number of items.
        window: Items of a window.
        num_workers: Threads; 0 prepares in the calling thread.

    Raises:
        Exception: Whatever ``prepare`` raises, of the first item that fails.
    """
    windows = [range(first, min(first + window, count)) for first in range(0, count, window)]
    if not num_workers:
        yield from ({i: prepare(i) for i in indices} for indices in windows)
        return
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="encode")
    try:
        ahead: dict[int, Future[T]] = {}
        for indices, following in pairwise([range(0), *windows, range(0)]):
            current, ahead = ahead, {i: pool.submit(prepare, i) for i in following}
            if indices:
                yield {i: future.result() for i, future in current.items()}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def progress_bar(count: int, show: bool | None) -> tqdm[None]:
    """Return a progress bar over items.

    Args:
        count: Number of items.
        show: None shows it on a terminal, and only for what takes more than two seconds.
    """
    disable = None if show is None else not show  # None: tqdm asks whether there is a terminal
    return tqdm(total=count, unit="item", desc="encode", disable=disable, delay=2 if show is None else 0)


def check_workers(num_workers: int) -> None:
    """Reject a number of workers that cannot be.

    Raises:
        UserError: It is negative.
    """
    if num_workers < 0:
        raise UserError(
            f"num_workers={num_workers} must be 0 or more; 0 prepares items in the calling thread"
        )


def batches(lengths: Mapping[Key, tuple[int, ...]], size: int) -> Iterator[list[Key]]:
    """Yield batches of items of equal length: nothing is padded, so that no item feels its neighbours.

    Args:
        lengths: Item to its numbers of tokens, by modality.
        size: Items of a batch, at most.
    """
    groups: dict[tuple[int, ...], list[Key]] = {}
    for index, length in lengths.items():
        groups.setdefault(length, []).append(index)
    for group in groups.values():
        for first in range(0, len(group), size):
            yield group[first : first + size]
