"""Start-up time and memory of reading very many rows, and their order after a kill.

The rows are those of one small tar to which many shards are linked: an index of full size, of which every row can be
read, without the disk space of the data.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final

from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.samplers import EpochBatchSampler, Shuffle
from onepeace_pl.data.shards.index import INDEX, merge_parts, scan_tar
from onepeace_pl.data.shards.writer import write_shards
from onepeace_pl.data.source import Row, RowList
from onepeace_pl.data.sources import TarSource
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer

SAMPLES: Final = 10_000
"""Samples of a shard."""

_STEPS: Final = 8  # before the kill


@dataclass(frozen=True)
class RankCost:
    """Cost of one rank.

    Attributes:
        seconds: From opening the source to the first batch, without the start of the process.
        main: Bytes of memory of the main process, without mapped files, more than before it opened the source.
        workers: The same of each worker, more than the main process before.
        rows_a_second: Rows a second after the first batch.
    """

    seconds: float
    main: int
    workers: tuple[int, ...]
    rows_a_second: float


@dataclass(frozen=True)
class DataCost:
    """Cost of reading.

    Attributes:
        rows: Number of rows.
        index: Bytes of the index, which processes share.
        ranks: Cost of each rank.
        same_order: Whether the rows after a kill, read by other ranks, are those that would have followed; None where
            the order cannot go on with other ranks.
    """

    rows: int
    index: int
    ranks: tuple[RankCost, ...]
    same_order: bool | None


def make_shards(folder: Path, rows: int) -> None:
    """Link shards to one tar and write their index, unless they are there."""
    if (folder / INDEX).is_dir():
        if len(TarSource(str(folder))) != rows:
            raise UserError(f"{folder} has another number of rows; give a new folder, or remove it")
        return
    folder.mkdir(parents=True, exist_ok=True)
    count, rest = divmod(rows, SAMPLES)
    parts: list[tuple[str, Path]] = []
    for size in filter(None, (SAMPLES if count else 0, rest)):
        source = RowList([Row(str(n), {"text": f"the caption of picture number {n}"}) for n in range(size)])
        write_shards(source, folder / f"of-{size}", max_count=size)
        tar = folder / f"of-{size}" / "shard-000000.tar"
        part = folder / f"of-{size}.npz"
        scan_tar(str(tar)).save(part)
        for _ in range(count if size == SAMPLES else 1):
            name = f"shard-{len(parts):06}.tar"
            os.symlink(tar.relative_to(folder), folder / name)
            parts.append((name, part))
    merge_parts(parts, folder / INDEX, {"fields": {"text": ["txt"]}})


def measure_reading(
    folder: Path, ranks: int, workers: int, batch_size: int, shuffle: Shuffle = "computed", batches: int = 50
) -> DataCost:
    """Measure ranks that read at the same time, then kill them and let one go on.

    Args:
        folder: Of :func:`make_shards`.
        ranks: Number of processes.
        workers: Workers of each.
        batch_size: Rows in a batch of a rank.
        shuffle: Order.
        batches: Batches of a rank by which its speed is measured.
    """
    options = (str(folder), workers, batch_size, shuffle)
    readers = [_start(options, rank, ranks, batches, 0) for rank in range(ranks)]
    steps: list[list[str]] = [[] for _ in range(batches)]
    costs = []
    for process, pipe in readers:
        for step in steps:
            step += _received(process, pipe)
        costs.append(RankCost(*_received(process, pipe)))
    for process, _ in readers:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    order = [name for step in steps for name in step]
    same: bool | None = None
    if shuffle == "computed":
        read = _STEPS * batch_size * ranks
        process, pipe = _start(options, 0, 1, ranks, read)
        rest = [name for _ in range(ranks) for name in _received(process, pipe)]
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        same = rest == order[read : read + len(rest)]
    rows = len(TarSource(str(folder)))
    index = sum(file.stat().st_size for file in (folder / INDEX).iterdir())
    return DataCost(rows, index, tuple(costs), same)


def table(cost: DataCost) -> list[str]:
    """Return lines of a table."""
    lines = [f"{cost.rows:,} rows; index {cost.index / 2**20:,.0f} MiB, shared by all processes", ""]
    lines.append(f"{'':8} {'start, s':>8} {'main process, MiB':>18} {'a worker, MiB':>14} {'rows/s':>8}")
    for number, each in enumerate(cost.ranks):
        worker = f"{max(each.workers) / 2**20:14.1f}" if each.workers else f"{'-':>14}"
        lines.append(
            f"rank {number:<3} {each.seconds:8.2f} {each.main / 2**20:18.1f} {worker} {each.rows_a_second:8.0f}"
        )
    if cost.same_order is not None:
        lines += ["", f"order after SIGKILL, by another number of ranks: {_said(cost.same_order)}"]
    return lines


def _said(same: bool) -> str:
    return "equal" if same else "DIFFERENT"


def _start(
    options: tuple[Any, ...], rank: int, ranks: int, batches: int, begun: int
) -> tuple[SpawnProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_read, args=(theirs, *options, rank, ranks, batches, begun), daemon=False
    )
    process.start()
    theirs.close()
    return process, ours


def _received(process: SpawnProcess, pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"a reader has ended with code {process.exitcode}") from None


def _read(
    pipe: Connection,
    folder: str,
    workers: int,
    batch_size: int,
    shuffle: Shuffle,
    rank: int,
    ranks: int,
    batches: int,
    begun: int,
) -> None:
    """Send shard-wide unique names of the rows of each batch, then the cost; wait to be killed."""
    multiprocessing.set_start_method("fork", force=True)  # of the loader's workers
    processors = {"text": TextProcessor(Tokenizer.train(["the caption of picture number"]))}
    before = _own_memory(os.getpid())
    start = time.perf_counter()
    source = TarSource(folder)
    sampler = EpochBatchSampler(len(source), batch_size, rank=rank, world_size=ranks, shuffle=shuffle)
    if begun:
        sampler.resume_after(0, begun)
    loader = ResumableLoader(
        PreparedRows(source, processors, train=True), sampler, Collator(processors), workers
    )
    stream = iter(loader)
    seconds, later = 0.0, 0.0
    for number in range(batches):
        batch = next(stream)
        if number == 0:
            later = time.perf_counter()
            seconds = later - start
        pipe.send([str(index) for index in batch.indices.tolist()])
    speed = (batches - 1) * batch_size / max(time.perf_counter() - later, 1e-9)
    own = tuple(_own_memory(child) - before for child in _children())
    pipe.send((seconds, _own_memory(os.getpid()) - before, own, speed))
    signal.pause()


def _children() -> Iterator[int]:
    for child in multiprocessing.active_children():
        if child.pid is not None:
            yield child.pid


def _own_memory(process: int) -> int:
    """Return the bytes of memory that no file could bring back: without mapped files, such as those of the index."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Anonymous:"))
