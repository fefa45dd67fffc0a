"""Embed images, audio and text; with two modalities, also print their similarities.

embed FOLDER --image a.png b.png --text "a dog" "a cat"
embed FOLDER --audio bark.flac --text snow --fuse default --to vectors.npz
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_embedding_options, load_model
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

Items = dict[str, list[str]]


def main(argv: Sequence[str]) -> int:
    """Embed what is named, print similarities, write vectors; return the exit code."""
    parser = argparse.ArgumentParser(
        "embed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    parser.add_argument("--image", nargs="+", metavar="FILE", default=[], help="images")
    parser.add_argument("--audio", nargs="+", metavar="FILE", default=[], help="audio files")
    parser.add_argument("--text", nargs="+", metavar="TEXT", default=[], help="texts")
    parser.add_argument(
        "--fuse",
        choices=("sum", "joint", "default"),
        help="embed item i of all modalities as one vector: the normalised sum of their own, that of one joint pass, "
        "or what the model was trained for",
    )
    parser.add_argument(
        "--calibrate",
        action=argparse.BooleanOptionalAction,
        help="apply the folder's calibration, or do not; default: where it has one",
    )
    parser.add_argument("--to", metavar="FILE", help="write the embeddings to a .npz or .csv file")
    add_embedding_options(parser)
    options = parser.parse_args(argv)
    given = {"image": options.image, "audio": options.audio, "text": options.text}
    items = {name: values for name, values in given.items() if values}
    if not items:
        raise UserError("nothing to embed; give --image, --audio or --text")
    target = None if options.to is None else Path(options.to)
    if target is not None and target.suffix not in (".npz", ".csv"):
        raise UserError(f"--to {target}: the ending must be .npz or .csv")

    from onepeace_pl.modalities.text.cleaning import well_formed

    model = load_model(options.folder, options)
    how = {
        "calibrate": options.calibrate,
        "batch_size": options.batch_size,
        "resample": options.resample,
    }
    labels = {name: list(map(well_formed, values)) for name, values in items.items()}
    if options.fuse is not None:
        joined = "+".join(items)
        labels = {joined: [" + ".join(row) for row in zip(*labels.values(), strict=False)]}
        fuse = None if options.fuse == "default" else options.fuse
        vectors = {joined: model.encode(fuse=fuse, **how, **items)}
    else:
        vectors = {n: model.encode(**how, **{n: v}) for n, v in items.items()}
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
