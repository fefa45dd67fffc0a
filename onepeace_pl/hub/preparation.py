"""Parallel preprocessing: items are decoded in threads while the model embeds those before them.

Decoders, resizing and resampling release the interpreter lock, so that threads suffice; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Literal, TypeVar, get_args

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from onepeace_pl.errors import UserError, nearest

T = TypeVar("T")
Prepared = TypeVar("Prepared")
Key = TypeVar("Key")

Workers = Literal["threads", "processes"]
"""Kind of workers that prepare items."""


def prepared(
    prepare: Callable[[T], Prepared], chunks: Iterable[Sequence[T]], num_workers: int = 0
) -> Generator[list[Prepared], None, None]:
    """Yield the prepared items of each chunk.

    With workers at most two chunks are in memory: the one that was yielded, and the next, which is being prepared.
    Close the iterator (``contextlib.closing``) to stop it early: items in progress are finished, no others begun.

    Args:
        prepare: Prepares an item; called in other threads if there are workers.
        chunks: The items, a chunk at a time; read by the calling thread, one chunk ahead if there are workers.
        num_workers: Threads; 0 prepares in the calling thread.

    Raises:
        Exception: Whatever ``prepare`` raises, of the first item that fails.
    """
    if not num_workers:
        yield from ([prepare(item) for item in chunk] for chunk in chunks)
        return
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="encode")
    try:
        ahead: list[Future[Prepared]] | None = None
        for chunk in chunks:
            current, ahead = ahead, [pool.submit(prepare, item) for item in chunk]
            if current is not None:
                yield [future.result() for future in current]
        if ahead is not None:
            yield [future.result() for future in ahead]
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


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of a size, at most."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def check_batch_size(batch_size: int) -> None:
    """Reject a batch size that cannot be.

    Raises:
        UserError: It is less than 1.
    """
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size} must be at least 1")


def check_workers(num_workers: int, workers: Workers = "threads") -> None:
    """Reject a number or a kind of workers that cannot be.

    Raises:
        UserError: The number is negative, or the kind unknown.
    """
    if workers not in get_args(Workers):
        raise UserError(f"workers={workers!r}: {nearest(str(workers), get_args(Workers))}")
    if num_workers < 0:
        raise UserError(
            f"num_workers={num_workers} must be 0 or more; 0 prepares items in the calling thread"
        )


def batches(lengths: Mapping[Key, Hashable], size: int) -> Iterator[list[Key]]:
    """Yield batches of items of equal length: nothing is padded, so that no item feels its neighbours.

    Args:
        lengths: Item to its modalities and their numbers of tokens.
        size: Items of a batch, at most.
    """
    groups: dict[Hashable, list[Key]] = {}
    for index, length in lengths.items():
        groups.setdefault(length, []).append(index)
    for group in groups.values():
        for first in range(0, len(group), size):
            yield group[first : first + size]
