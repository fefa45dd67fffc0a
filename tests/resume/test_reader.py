"""A reader of shards that is killed at any moment reads on in the same order, with other workers, ranks and batches.

The reader is a process that steps through the loaders of all ranks and, as a run does, notes now and then where it is;
after a kill it goes on from there. The quick test kills it three times, the slow one twenty.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.permutation import FeistelPermutation
from onepeace_pl.data.loading.samplers import EpochBatchSampler
from onepeace_pl.data.shards import write_shards
from onepeace_pl.data.source import Row, RowList
from onepeace_pl.data.sources import TarSource
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer

SEED, EPOCHS, EVERY = 5, 2, 3
LOG, STATE = "rows.txt", "state.json"


def loaders(shards: Path, ranks: int, workers: int, batch_size: int) -> list[ResumableLoader]:
    processors = {"text": TextProcessor(Tokenizer.train(["row"]))}
    source = TarSource(str(shards))
    return [
        ResumableLoader(
            PreparedRows(source, processors, train=True),
            EpochBatchSampler(len(source), batch_size, SEED, rank=rank, world_size=ranks, shuffle="computed"),
            Collator(processors),
            workers,
        )
        for rank in range(ranks)
    ]


def read(shards: Path, folder: Path, ranks: int, workers: int, batch_size: int) -> None:
    """Read all epochs, or what is left of them, and write down the rows of each step."""
    multiprocessing.set_start_method("fork", force=True)  # of the loader's workers
    every = loaders(shards, ranks, workers, batch_size)
    epoch, log = 0, folder / LOG
    if (folder / STATE).exists():
        state = json.loads((folder / STATE).read_text())
        epoch = state["epoch"]
        os.truncate(log, state.pop("written"))  # what came after is read again
        for loader in every:
            loader.load_state_dict(state)
    with log.open("a") as file:
        for number in range(epoch, EPOCHS):
            for loader in every:
                loader.batches.set_epoch(number)
            batch = every[0].batches.start().batch
            for step in zip(*every, strict=True):
                rows = [int(name) for each in step for name in each.ids]
                file.write(json.dumps([number, rows]) + "\n")
                file.flush()
                batch += 1
                if batch % EVERY == 0:
                    position = {"epoch": number, "batches": batch, "written": file.tell()}
                    (folder / "new").write_text(json.dumps({**every[0].state_dict(), **position}))
                    os.replace(folder / "new", folder / STATE)
    os._exit(0)


def kill_and_go_on(tmp_path: Path, size: int, kills: int, kinds: list[tuple[int, int, int]]) -> None:
    """Kill a reader so often, each time going on in another way, and compare all that it has read."""
    shards, folder = tmp_path / "shards", tmp_path / "reader"
    write_shards(RowList([Row(str(n), {"text": f"row {n}"}) for n in range(size)]), shards, max_count=50)
    folder.mkdir()
    log, draw = folder / LOG, random.Random(kills)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    for life in range(kills + 1):
        process = context.Process(target=read, args=(shards, folder, *kinds[life % len(kinds)]))
        process.start()
        if life < kills:
            until, end = lines(log) + draw.randrange(1, 9), time.monotonic() + 120
            while process.is_alive() and lines(log) < until and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(draw.random() / 100)
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            assert process.exitcode == -signal.SIGKILL, "it had ended: more rows are needed"
        else:
            process.join(120)
            assert process.exitcode == 0
    seen: dict[int, list[int]] = {number: [] for number in range(EPOCHS)}
    for line in log.read_text().splitlines():
        epoch, rows = json.loads(line)
        seen[epoch] += rows
    for epoch, rows in seen.items():
        order = FeistelPermutation(size, SEED, epoch)(range(size)).tolist()
        assert rows[:size] == order
        assert rows[size:] == order[: len(rows) - size]  # the last step is filled up
    assert len(seen[0]) < size + 20


def lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def test_three_kills(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, 120, 3, [(1, 1, 2), (2, 0, 2), (1, 0, 3), (3, 0, 1)])


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    kinds = [(1, 0, 2), (2, 1, 3), (3, 2, 1), (1, 2, 5), (4, 0, 1), (2, 2, 2), (1, 1, 4)]
    kill_and_go_on(tmp_path, 600, 20, kinds)
