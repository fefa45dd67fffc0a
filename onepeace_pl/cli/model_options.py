"""Command-line options of verbs that embed with a model folder."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onepeace_pl.hub import LoadingOptions, OnePeace


def add_loading_options(parser: argparse._ActionsContainer) -> None:
    """Add ``--device``, ``--weights``, ``--tokenizer`` and ``--trust``, which :func:`load_model` reads."""
    parser.add_argument("--device", help="default: a GPU if available")
    add_weights_option(parser)
    parser.add_argument("--tokenizer", metavar="PATH", help="tokenizer of a model folder without one")
    add_trust_option(parser)


def add_trust_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--trust``."""
    parser.add_argument(
        "--trust", action="store_true", help="import classes of other packages that the folder names"
    )


def add_resample_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--resample`` and ``--no-resample``."""
    parser.add_argument(
        "--resample",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="resample audio of another rate than the model's, or reject it",
    )


def add_weights_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--weights``."""
    parser.add_argument(
        "--weights",
        choices=("float32", "bf16", "int8"),
        help="weights in memory; int8: those of linear layers; default: those of the folder",
    )


def add_embedding_options(parser: argparse._ActionsContainer) -> None:
    """Add ``--batch-size``, ``--resample`` and the options of loading."""
    parser.add_argument("--batch-size", type=int, default=32)
    add_resample_option(parser)
    add_loading_options(parser)


def load_model(folder: str, options: argparse.Namespace) -> OnePeace:
    """Load a model folder as the options say."""
    from onepeace_pl.hub import OnePeace

    return OnePeace.from_pretrained(folder, **loading_options(options))


def loading_options(options: argparse.Namespace) -> LoadingOptions:
    """Return the options of :meth:`~onepeace_pl.OnePeace.from_pretrained` that the command line gives."""
    return {
        "device": options.device,
        "tokenizer": options.tokenizer,
        "trust_remote_code": options.trust,
        "weights": options.weights,
    }
