"""Embed images, audio and text with a model.

embed FOLDER --image a.png b.png --text "a dog"         a few; with two modalities, also print their similarities
embed FOLDER --audio bark.flac --text snow --fuse default --to vectors.npz
embed FOLDER photos/ 'sounds/**/*.wav' --to DIR         many, into Parquet files: files, by their endings
embed FOLDER captions.csv --to DIR --fuse default       a table: one vector of the columns of each row
find . -name '*.jpg' | embed FOLDER - --to DIR          lines: paths, texts

A call that was interrupted goes on where it stopped. `index` embeds for search.
"""

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onepeace_pl.cli.model_options import add_embedding_options, load_model, loading_options
from onepeace_pl.cli.source_options import (
    SOURCES,
    add_source_options,
    add_workers_option,
    fusion,
    print_failed,
    read_items,
)
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from onepeace_pl.embedding.job import Progress

MINUTE = 60.0
Items = dict[str, list[str]]


def main(argv: Sequence[str]) -> int:
    """Embed what is named, write vectors; return the exit code."""
    options = _parser().parse_intermixed_args(argv)  # options between the sources
    given = {"image": options.image, "audio": options.audio, "text": options.text}
    items = {name: values for name, values in given.items() if values}
    if not items and not options.sources:
        raise UserError("nothing to embed; give sources, or --image, --audio or --text")
    if items and options.sources:
        raise UserError(
            f"{options.sources[0]} and --{next(iter(items))}: give sources, or a few items, not both"
        )
    return _few(options, items) if items else _many(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "embed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    parser.add_argument("sources", nargs="*", help=SOURCES)
    parser.add_argument("--image", nargs="+", metavar="FILE", default=[], help="images")
    parser.add_argument("--audio", nargs="+", metavar="FILE", default=[], help="audio files")
    parser.add_argument("--text", nargs="+", metavar="TEXT", default=[], help="texts")
    parser.add_argument(
        "--to", metavar="PATH", help="folder of the vectors of sources; of a few items, a .npz or .csv file"
    )
    add_source_options(parser)
    parts = parser.add_argument_group("vectors of sources")
    parts.add_argument(
        "--part-size",
        type=int,
        metavar="N",
        help="items of a Parquet file, and most that a kill costs; default: 1024",
    )
    parts.add_argument("--truncate-dim", type=int, metavar="D", help="keep the first D values")
    parts.add_argument(
        "--long-audio", choices=("cut", "mean"), default="cut", help="cut it, or take the mean over windows"
    )
    parts.add_argument(
        "--retry-failed",
        action="store_true",
        help="embed parts again that have items which could not be read",
    )
    parts.add_argument("--ray", type=int, metavar="N", help="embed on Ray Data, with N models at a time")
    running = parser.add_argument_group("model")
    running.add_argument(
        "--calibrate",
        action=argparse.BooleanOptionalAction,
        help="apply the folder's calibration, or do not; default: where it has one",
    )
    add_workers_option(running)
    add_embedding_options(running)
    return parser


def _many(options: argparse.Namespace) -> int:
    """Embed sources into a folder."""
    if options.to is None:
        raise UserError("--to is missing: name a folder for the vectors")
    folder = Path(options.to)
    if folder.suffix in (".npz", ".csv"):
        raise UserError(f"--to {folder}: sources are embedded into a folder of Parquet files; name a folder")

    from onepeace_pl.embedding import ItemEmbedder, Stamp
    from onepeace_pl.embedding.embedder import EmbedderOptions
    from onepeace_pl.embedding.job import embed_parts
    from onepeace_pl.embedding.parts import FAILED, EmbeddingFolder

    started = time.monotonic()
    model = load_model(options.folder, options)
    items = read_items(options.sources, options, model, metadata=False)
    if options.calibrate and model.calibration is None:
        raise UserError(
            "the model has no calibration; `python -m onepeace_pl calibrate` adds one to its folder"
        )
    calibration = None if options.calibrate is False else model.calibration
    stamp = Stamp.of(model, options.truncate_dim, calibration)
    depends = {"fuse": options.fuse, "resample": options.resample, "long_audio": options.long_audio}
    parts = EmbeddingFolder.open(folder, stamp, depends, options.part_size, options.folder)
    how: EmbedderOptions = {
        "width": stamp.width,
        "calibrate": calibration is not None,
        "fuse": fusion(options),
        "batch_size": options.batch_size,
        "num_workers": options.num_workers,
        "on_error": options.on_error,
        "resample": options.resample,
        "long_audio": options.long_audio,
    }
    if options.ray is None:
        found = embed_parts(
            items, ItemEmbedder(model, workers="processes", **how), parts, options.retry_failed, _Log(started)
        )
    else:
        from onepeace_pl.integrations.ray import RaySettings, embed_parts_on_ray

        gpus = int(model.device.type == "cuda")
        settings = RaySettings(options.folder, loading_options(options), how)
        found = embed_parts_on_ray(items, parts, settings, options.ray, gpus, options.retry_failed)
    seconds = time.monotonic() - started
    print(
        f"{found.seen} items in {seconds:.1f} s: {found.embedded} embedded, {found.kept} there already, "
        f"{len(found.failed)} skipped"
    )
    print_failed([why for _, why in found.failed], f" in {folder / FAILED}")
    print(
        f"{folder}: {found.seen - len(found.failed)} vectors of {stamp.width} values in {parts.count()} parts"
    )
    return 0


class _Log:
    """Lines about the progress: one that is rewritten on a terminal, one a minute elsewhere."""

    def __init__(self, started: float) -> None:
        self.started = self.said = started

    def __call__(self, found: "Progress") -> None:
        now = time.monotonic()
        on_terminal = sys.stderr.isatty()
        if on_terminal or now - self.said >= MINUTE:
            self.said = now
            rate = found.embedded / (now - self.started)
            line = f"{found.seen} items, {rate:.1f} a second, {len(found.failed)} skipped"
            print(
                f"\r{line}" if on_terminal else line,
                end="\r" if on_terminal else "\n",
                file=sys.stderr,
                flush=True,
            )


def _few(options: argparse.Namespace, items: Items) -> int:
    """Embed items of the command line, print similarities."""
    target = None if options.to is None else Path(options.to)
    if target is not None and target.suffix not in (".npz", ".csv"):
        raise UserError(f"--to {target}: the ending must be .npz or .csv")

    from onepeace_pl.modalities.text.cleaning import well_formed

    model = load_model(options.folder, options)
    how: dict[str, Any] = {
        "calibrate": options.calibrate,
        "batch_size": options.batch_size,
        "num_workers": options.num_workers,
        "resample": options.resample,
    }
    labels = {name: list(map(well_formed, values)) for name, values in items.items()}
    if options.fuse is not None:
        joined = "+".join(items)
        labels = {joined: [" + ".join(row) for row in zip(*labels.values(), strict=False)]}
        how |= {"fuse": fusion(options)}
        vectors = {joined: model.encode(**how, **cast("dict[str, Any]", items))}
    else:
        vectors = {n: model.encode(**how, **cast("dict[str, Any]", {n: v})) for n, v in items.items()}
    for name, rows in vectors.items():
        print(f"{name}: {len(rows)} vectors of {rows.shape[1]} dimensions")
    for first, second in combinations(vectors, 2):
        print()
        _print_table(labels[first], labels[second], model.similarity(vectors[first], vectors[second]))
    if target is not None:
        _write(target, labels, vectors)
        print(f"wrote {target}")
    return 0


def _print_table(rows: Sequence[str], columns: Sequence[str], similarity: "Tensor") -> None:
    heads = [_short(name, 16) for name in columns]
    widths = [max(len(head), 6) + 2 for head in heads]
    left = max(len(_short(name, 28)) for name in rows) + 2
    print(" " * left + "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True)))
    for name, values in zip(rows, similarity.tolist(), strict=True):
        cells = "".join(f"{value:{width}.3f}" for value, width in zip(values, widths, strict=True))
        print(f"{_short(name, 28):{left}}{cells}")


def _short(name: str, most: int) -> str:
    """Keep the end of a path and the beginning of a text."""
    if len(name) <= most:
        return name
    return f"...{name[3 - most :]}" if "/" in name else f"{name[: most - 3]}..."


def _write(path: Path, items: Mapping[str, Sequence[str]], vectors: "Mapping[str, Tensor]") -> None:
    with replacing(path) as new:
        _write_to(new, items, vectors)


def _write_to(path: Path, items: Mapping[str, Sequence[str]], vectors: "Mapping[str, Tensor]") -> None:
    import numpy as np

    if path.suffix == ".npz":
        arrays = {name: rows.numpy() for name, rows in vectors.items()}
        arrays |= {f"{name}_items": np.array(items[name]) for name in vectors}
        np.savez(path, **arrays)  # type: ignore[arg-type]
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        width = next(iter(vectors.values())).shape[1]
        writer.writerow(["modality", "item", *(f"v{i}" for i in range(width))])
        for name, rows in vectors.items():
            for item, row in zip(items[name], rows.tolist(), strict=True):
                writer.writerow([name, item, *row])
