"""Command-line options of verbs that read items of folders, tables and streams."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.backbone import Fuse
    from onepeace_pl.embedding import Item
    from onepeace_pl.hub import OnePeace

SOURCES = (
    "folders, files, patterns in quotes, tables (.csv, .tsv, .jsonl, .parquet), datasets saved to disk or "
    "hf://datasets/OWNER/NAME, - for lines of standard input"
)
LISTED = 5  # failed items that are printed


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of reading, which :func:`read_items` reads."""
    parser.add_argument(
        "--modality",
        help="take all files and lines as this modality, and of tables only its column; image+text for several",
    )
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="items that cannot be read: stop, or leave them out and list them",
    )
    tables = parser.add_argument_group("tables")
    tables.add_argument(
        "--columns",
        nargs="+",
        metavar="FIELD=COLUMN",
        default=[],
        help="columns with other names: text=caption",
    )
    tables.add_argument("--id-column", metavar="COLUMN", help="ids; default: id, or the number of the row")
    tables.add_argument("--root", metavar="FOLDER", help="start of media paths; default: the table's folder")
    tables.add_argument("--split", help="split of a dataset")
    tables.add_argument(
        "--fuse",
        choices=("sum", "joint", "default"),
        help="embed the columns of a row as one vector: the normalised sum of their own, that of one joint pass, or "
        "what the model was trained for",
    )


def add_workers_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--num-workers``."""
    parser.add_argument(
        "--num-workers",
        type=int,
        default=min(os.cpu_count() or 1, 8),
        help="workers that read and prepare items (processes of embed, threads of index); default: %(default)s",
    )


def read_items(
    paths: list[str], options: argparse.Namespace, model: OnePeace, metadata: bool
) -> Iterator[Item]:
    """Return the items of sources as the options say."""
    from onepeace_pl.embedding import find_items

    return find_items(
        paths,
        model.modalities,
        options.modality,
        dict(map(_column, options.columns)),
        options.id_column,
        options.root,
        fused=options.fuse is not None,
        split=options.split,
        metadata=metadata,
    )


def fusion(options: argparse.Namespace) -> Fuse | None:
    """Return the fusion that ``--fuse`` names; None for that of the model."""
    fuse: Fuse | None = None if options.fuse == "default" else options.fuse
    return fuse


def print_failed(reasons: list[str], where: str = "") -> None:
    """Print the first items that cannot be read."""
    for reason in reasons[:LISTED]:
        print(f"skipped {reason}")
    if len(reasons) > LISTED:
        print(f"and {len(reasons) - LISTED} more{where}")


def _column(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not equals or not field or not column:
        raise UserError(f"--columns {text}: write FIELD=COLUMN, such as text=caption")
    return field, column
