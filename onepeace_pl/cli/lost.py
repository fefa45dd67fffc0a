"""One-line errors for lost processes: data loader workers and other ranks. Torch reports them in many lines."""

import os
import re

_WORKER = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (is killed by signal: [\w ]+|exited unexpectedly)"
)
_RANK = re.compile(
    r"(Connection (?:closed by|reset by) peer|Broken pipe|[Tt]imed out|[Tt]imeout|remote process exited)"
)
_OF_RANKS = re.compile(r"gloo|nccl|ProcessGroup|TCPStore|c10d|socket", re.IGNORECASE)


def lost_process(error: BaseException) -> str | None:
    """Return the one line for an error that comes of another process having ended, or None."""
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if found := _WORKER.search(text):
        return (
            f"a process that loads data {found[1]}; where memory ran out, lower data.num_workers or data.batch_size "
            "(with data.num_workers 0 an error in it would show)"
        )
    found = _RANK.search(text)
    if found and _OF_RANKS.search(text):
        rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
        return (
            f"process {rank} of this run has lost another one ({found[1].lower()}), which has ended or been killed; if "
            "it said why, that stands above. Go on with --ckpt_path last"
        )
    return None
