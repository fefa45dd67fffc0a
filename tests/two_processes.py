"""Run a function in two processes that talk over gloo, with a limit on time so that a hang is a failure."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def _enter(
    rank: int, function: Callable[..., None], ranks: int, meeting: str, arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    function(*arguments)
    dist.barrier()
    # Without the interpreter's shutdown: sharded modules keep gloo's threads alive, and C++ aborts now and then
    # when these are still running while its objects are torn down. What fails above is reported as ever.
    os._exit(0)


def run_in_processes(
    function: Callable[..., None], folder: Path, *arguments: Any, ranks: int = 2, seconds: float = 900
) -> None:
    """Call ``function(*arguments)`` in every process; ``function`` is a module's, so that it can be pickled.

    An assertion that fails in any process fails here; ``folder`` holds the file through which they meet. ``seconds``
    guards against a hang alone: a busy machine may take many times what an idle one does.
    """
    # Forked from a server that has imported what takes seconds, and nothing of what this process has done since.
    torch.multiprocessing.set_forkserver_preload(["onepeace_pl.training.experiment", "onepeace_pl.hub"])
    given = (function, ranks, str(folder / "meeting"), arguments)
    context: Any = torch.multiprocessing.start_processes(
        _enter, given, nprocs=ranks, join=False, start_method="forkserver"
    )
    end = time.monotonic() + seconds
    while not context.join(timeout=1):
        if time.monotonic() > end:
            for process in context.processes:
                process.kill()
            raise TimeoutError(f"{ranks} processes did not end within {seconds:.0f} s")
