"""Worker processes that end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
from threading import Thread


def end_with_parent(worker: int) -> None:
    """End this worker of a data loader as soon as its parent is killed, with what it has inherited: locks of files.

    By itself a worker would look for its parent every five seconds, and hold the claim of a run as long.

    Args:
        worker: Number of the worker, of which a ``worker_init_fn`` is told.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        Thread(target=wait, daemon=True).start()
