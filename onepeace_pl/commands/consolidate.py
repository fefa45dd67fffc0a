"""Merge a sharded checkpoint into one file, to resume from or to convert.

Reading it runs no code of the checkpoint.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import replacing, save

METADATA, META = ".metadata", "meta.pt"  # torch's index of the shards, and what Lightning keeps beside them


def main(argv: Sequence[str]) -> int:
    """Gather the shards, write the file, and return the exit code."""
    parser = argparse.ArgumentParser("consolidate", description=__doc__)
    parser.add_argument("folder", type=Path, help="sharded checkpoint, such as RUN/checkpoints/last.ckpt")
    parser.add_argument(
        "--to", type=Path, metavar="FILE", help="default: FOLDER with .whole before its suffix"
    )
    options = parser.parse_args(argv)
    folder: Path = options.folder
    target: Path = options.to or folder.with_name(f"{folder.stem}.whole{folder.suffix or '.ckpt'}")
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}; check the path")
    if not (folder / METADATA).is_file():
        raise UserError(f"{folder} is no sharded checkpoint: a folder with .metadata and shards is wanted")
    if target.exists():
        raise UserError(f"{target} exists already; give another --to")

    checkpoint = _gather(folder)
    with replacing(target) as new:
        save(checkpoint, new)
    count = sum(t.numel() for t in checkpoint.get("state_dict", {}).values() if hasattr(t, "numel"))
    print(f"wrote {target}: {count:,} numbers")
    return 0


def _gather(folder: Path) -> dict[str, Any]:
    """Read all shards into what an unsharded run would have saved."""
    from tempfile import TemporaryDirectory

    import torch
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    from onepeace_pl.checkpoints.pickles import read_pickle
    from onepeace_pl.checkpoints.sharded import check_sharded

    check_sharded(folder)
    with TemporaryDirectory(dir=folder.parent) as place:  # torch's public way leads over a file
        whole = Path(place) / "whole.pt"
        try:
            dcp_to_torch_save(folder, whole)
        except CheckpointException as error:  # no Exception, but a BaseException
            reason = next(iter(error.failures.values()))[0]
            raise UserError(f"{folder}: a shard is missing or damaged ({reason})") from None
        except Exception as error:
            raise UserError(f"{folder}: .metadata or a shard is damaged ({error})") from None
        checkpoint: dict[str, Any] = torch.load(whole, map_location="cpu", weights_only=True)
    if (folder / META).is_file():
        meta = read_pickle(folder / META)
        if not isinstance(meta, dict):
            raise UserError(f"{folder / META} holds no dict; copy the whole folder of the checkpoint again")
        checkpoint |= meta
    states = sorted((name for name in checkpoint if name.startswith("optimizer_")), key=_number)
    if states:
        checkpoint["optimizer_states"] = [_by_number(checkpoint.pop(name)) for name in states]
    return checkpoint


def _number(name: str) -> int:
    return int(name.removeprefix("optimizer_"))


def _by_number(state: dict[str, Any]) -> dict[str, Any]:
    """Turn an optimiser's state by parameter names into the usual one by numbers."""
    numbers: dict[str, int] = {}
    groups = [
        group | {"params": [numbers.setdefault(name, len(numbers)) for name in group["params"]]}
        for group in state["param_groups"]
    ]
    return {
        "state": {numbers[name]: value for name, value in state.get("state", {}).items()},
        "param_groups": groups,
    }
