"""Options that benchmarks share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from onepeace_pl.cli.model_options import add_trust_option
from onepeace_pl.utils.json_files import JsonObject

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run: TypeAlias = Callable[[argparse.Namespace, JsonObject], bool]
"""A benchmark: prints, adds its results to those that ``--json`` writes, and returns whether assertions hold."""


def add_verb(verbs: Verbs, name: str, text: str, run: Run) -> argparse.ArgumentParser:
    """Add a benchmark with the options that all have."""
    verb = verbs.add_parser(name, help=text)
    verb.set_defaults(run=run)
    verb.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
    verb.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's")
    verb.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    return verb


def add_size(verb: argparse.ArgumentParser, batch: int) -> None:
    """Add the options of a model with random weights: preset, batch size, dtype."""
    verb.add_argument("--preset", default="base", help="model size; default: base")
    verb.add_argument("--batch", type=int, default=batch, help=f"batch size; default: {batch}")
    add_dtype(verb)


def add_dtype(verb: argparse.ArgumentParser) -> None:
    """Add ``--dtype``."""
    verb.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")


def add_clock(verb: argparse.ArgumentParser, rounds: int) -> None:
    """Add the options of measuring time: rounds and clock."""
    verb.add_argument("--rounds", type=int, default=rounds, help=f"repetitions; default: {rounds}")
    verb.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: CPU time of this process"
    )


def add_stage(verb: argparse.ArgumentParser) -> None:
    """Add ``--stage``, of pretraining."""
    verb.add_argument("--stage", type=int, choices=(1, 2), default=1)


def add_least_ratio(verb: argparse.ArgumentParser) -> None:
    """Add ``--assert-ratio``."""
    verb.add_argument("--assert-ratio", type=float, metavar="R", help="exit code 1 if a ratio is lower")


def add_rows(verb: argparse.ArgumentParser, required: bool) -> None:
    """Add the options of evaluated rows."""
    verb.add_argument(
        "--data", nargs="+", metavar="FILE", required=required, help="tables or a config, as for evaluate"
    )
    verb.add_argument(
        "--split", choices=("validation", "test", "train"), default="validation", help="rows of a config"
    )
    add_trust_option(verb)
