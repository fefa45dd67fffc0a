"""CPU seconds until commands answer."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from onepeace_pl.commands.bench.options import Verbs, add_verb
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject


def add(verbs: Verbs) -> None:
    """Add ``start``."""
    start = add_verb(verbs, "start", "CPU seconds until commands answer", _start)
    start.add_argument(
        "--compare", type=Path, metavar="CHECKOUT", help="another checkout, in turns with this one"
    )
    start.add_argument("--model", metavar="FOLDER", help="also load this model folder")
    start.add_argument("--rounds", type=int, default=5, help="repetitions; default: 5")


def _start(args: argparse.Namespace, numbers: JsonObject) -> bool:
    from onepeace_pl.benchmarks.start import commands, measure_starts, row

    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds} must be at least 1")
    sides = ["before", "after"] if args.compare else ["CPU seconds"]
    print(f"| command | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}")
    for times in measure_starts(commands(args.model), args.rounds, args.compare):
        numbers[times.command] = asdict(times)
        print(row(times), flush=True)
    return True
