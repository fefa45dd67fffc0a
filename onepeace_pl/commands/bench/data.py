"""Start-up time and memory of reading very many rows of shards."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from onepeace_pl.commands.bench.options import Verbs, add_verb
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject


def add(verbs: Verbs) -> None:
    """Add ``data``."""
    data = add_verb(verbs, "data", "start-up time and memory of reading very many rows of shards", _data)
    data.add_argument("--rows", type=int, default=1_000_000, help="number of rows; default: 1000000")
    data.add_argument("--ranks", type=int, default=2, help="processes that read; default: 2")
    data.add_argument("--num-workers", type=int, default=1, help="workers of each; default: 1")
    data.add_argument("--batch", type=int, default=64, help="rows in a batch of a rank; default: 64")
    data.add_argument("--shuffle", choices=("computed", "stored"), default="computed")
    data.add_argument("--folder", type=Path, help="of shards that are kept, and read if they are there")


def _data(args: argparse.Namespace, numbers: JsonObject) -> bool:
    from onepeace_pl.benchmarks.shards import make_shards, measure_reading, table

    for name in ("rows", "ranks", "batch"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} {getattr(args, name)} must be at least 1")
    with TemporaryDirectory() as name:
        folder = args.folder or Path(name)
        make_shards(folder, args.rows)
        cost = measure_reading(folder, args.ranks, args.num_workers, args.batch, args.shuffle)
    numbers["data"] = asdict(cost)
    print(f"{args.ranks} ranks of {args.num_workers} workers, batch {args.batch}, shuffle: {args.shuffle}")
    print(*table(cost), sep="\n")
    return cost.same_order is not False
