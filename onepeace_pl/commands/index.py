"""Index images, audio and text for search, with a model; run again, only new and changed files are embedded.

index FOLDER photos/ 'sounds/**/*.wav' --to DIR         files, by their endings
index FOLDER captions.csv --to DIR                      a table: columns named as modalities, others for filters
index FOLDER captions.csv --to DIR --fuse default       one vector of each row
index FOLDER recordings/ --modality sensor --to DIR     all files as one modality, such as that of a plug-in

A run that was interrupted goes on where it stopped. `search DIR` searches.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_embedding_options, load_model
from onepeace_pl.cli.source_options import (
    SOURCES,
    add_source_options,
    add_workers_option,
    fusion,
    print_failed,
    read_items,
)
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.search import Added


def main(argv: Sequence[str]) -> int:
    """Embed what is new, print counts; return the exit code."""
    options = _parser().parse_intermixed_args(argv)  # options between the paths
    folder = Path(options.to)

    from onepeace_pl.search import Index
    from onepeace_pl.search.index import EXACT_BELOW, is_index

    started = time.monotonic()
    model = load_model(options.folder, options)
    items = read_items(options.paths, options, model, metadata=True)
    if is_index(folder):
        if options.truncate_dim is not None or options.calibrate is not None:
            raise UserError(f"{folder} is an index already; --truncate-dim and --calibrate are for new ones")
        index = Index.open(folder, model)
    else:
        index = Index.create(
            folder,
            model,
            truncate_dim=options.truncate_dim,
            calibrate=options.calibrate,
            model_folder=options.folder,
        )
    added = index.add(
        items,
        fuse=fusion(options),
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        on_error=options.on_error,
        resample=options.resample,
        progress=_progress if sys.stderr.isatty() else None,
    )
    _print(added, time.monotonic() - started)
    if added.added or added.updated:
        index.compact()
    if len(index) >= EXACT_BELOW and index.is_exact:
        index.build()
        recall = index.recall(10)
        print(
            f"search is approximate from now on: recall@10 {recall.value:.3f} [{recall.low:.3f}, {recall.high:.3f}] of "
            "exact search (search --exact), for 200 of its rows as queries"
        )
    rows = ", ".join(f"{count} {name}" for name, count in index.counts().items())
    print(f"{folder}: {len(index)} rows ({rows or 'empty'}) of {index.stamp.width} values")
    return 0


def _print(added: "Added", seconds: float) -> None:
    print(
        f"{added.seen} items in {seconds:.1f} s: {added.added} added, {added.updated} updated, "
        f"{added.unchanged} unchanged, {len(added.failed)} skipped"
    )
    print_failed(list(added.failed.values()))


def _progress(added: "Added") -> None:
    print(f"\r{added.seen} items", end="\r", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "index", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    parser.add_argument("paths", nargs="+", help=SOURCES)
    parser.add_argument("--to", metavar="DIR", required=True, help="the index; made where it is missing")
    add_source_options(parser)
    vectors = parser.add_argument_group("vectors of a new index")
    vectors.add_argument("--truncate-dim", type=int, metavar="D", help="keep the first D values")
    vectors.add_argument(
        "--calibrate",
        action=argparse.BooleanOptionalAction,
        help="apply the model's calibration, or do not; default: where it has one",
    )
    running = parser.add_argument_group("model")
    add_workers_option(running)
    add_embedding_options(running)
    return parser
