"""Vectors, weights and speed of a model folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_trust_option
from onepeace_pl.cli.source_options import add_workers_option
from onepeace_pl.commands.bench.options import Verbs, add_clock, add_least_ratio, add_rows, add_verb
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from onepeace_pl.cli.evaluated_rows import EvaluatedRows


def add(verbs: Verbs) -> None:
    """Add ``vectors``, ``weights`` and ``embed``."""
    vectors = add_verb(verbs, "vectors", "recall and bytes of the vectors of a model", _vectors)
    vectors.add_argument("folder", help="a model folder")
    add_rows(vectors, required=True)
    vectors.add_argument(
        "--length", type=int, nargs="+", help="lengths; default: all values, 1/2, 1/4 and 1/8 of them"
    )
    vectors.add_argument("--batch", type=int, default=32, help="batch size; default: 32")
    weights = add_verb(
        verbs, "weights", "memory, speed and recall of float32, bf16 and int8 weights", _weights
    )
    weights.add_argument("folder", nargs="?", help="a model folder")
    weights.add_argument("--preset", help="instead of a folder: random weights of this size")
    add_rows(weights, required=False)
    weights.add_argument("--batch", type=int, default=32, help="batch size; default: 32")
    add_clock(weights, rounds=15)
    embed = add_verb(verbs, "embed", "items a second of embed", _embed)
    embed.add_argument("folder", help="a model folder")
    embed.add_argument("sources", nargs="*", help="files of images and sounds; default: generated ones")
    embed.add_argument("--pictures", type=int, default=1024, help="generated pictures; default: 1024")
    embed.add_argument("--sounds", type=int, default=512, help="generated sounds; default: 512")
    embed.add_argument("--batch", type=int, default=32, help="batch size; default: 32")
    embed.add_argument("--rounds", type=int, default=5, help="repetitions; default: 5")
    add_workers_option(embed)
    add_least_ratio(embed)
    add_trust_option(embed)


def _vectors(args: argparse.Namespace, numbers: JsonObject) -> bool:
    from onepeace_pl.benchmarks.vectors import compare_vectors, forms, table
    from onepeace_pl.data.evaluation.directions import galleries
    from onepeace_pl.hub import OnePeace

    if args.batch < 1:
        raise UserError(f"--batch {args.batch} must be at least 1")
    model = OnePeace.from_pretrained(args.folder, args.device, trust_remote_code=args.trust)
    wanted = forms(model.dim, args.length)
    trained = ", ".join(map(str, model.backbone.matryoshka_dims or (model.dim,)))
    print(f"{args.folder}: {model.dim} values, trained at {trained}")
    for each in _sets(args, model.modalities):
        for gallery in galleries(each.name, each.rows, each.directions):
            results = compare_vectors(model, gallery, wanted, args.batch)
            numbers[gallery.name] = [asdict(result) for result in results]
            print(f"\n{gallery.name}, {len(gallery.rows)} rows\n", *table(results), sep="\n")
    return True


def _weights(args: argparse.Namespace, numbers: JsonObject) -> bool:
    from onepeace_pl.backbone.build import from_preset
    from onepeace_pl.benchmarks.weights import (
        KINDS,
        costs_of_weights,
        random_inputs,
        recall_by_weights,
        table,
        with_weights,
    )
    from onepeace_pl.data.evaluation.directions import galleries
    from onepeace_pl.hub import OnePeace
    from onepeace_pl.hub.device import find_device

    for name, value in (("--batch", args.batch), ("--rounds", args.rounds)):
        if value < 1:
            raise UserError(f"{name} {value} must be at least 1")
    if (args.folder is None) == (args.preset is None):
        raise UserError("weights of what? give a model folder, or --preset for random weights of a size")
    if args.preset and args.data:
        raise UserError("--data: random weights have no recall; give a model folder, or drop --data")
    if args.preset:
        models = {}
        whole = from_preset(args.preset, decoder=False).to(find_device(args.device))
        backbones = {kind: with_weights(whole, kind) for kind in KINDS}
    else:
        models = {
            kind: OnePeace.from_pretrained(
                args.folder, args.device, trust_remote_code=args.trust, weights=kind
            )
            for kind in KINDS
        }
        backbones = {kind: model.backbone for kind, model in models.items()}
    inputs = random_inputs(backbones["float32"], args.batch)
    costs = costs_of_weights(backbones, inputs, args.rounds, args.clock)
    numbers["costs"] = [asdict(cost) for cost in costs]
    print(f"{args.folder or args.preset}, batches of {args.batch}, {args.rounds} rounds, {args.clock} time")
    if not args.data:
        print("", *table(costs), sep="\n")
    for each in _sets(args, backbones["float32"].modalities) if args.data else ():
        found = recall_by_weights(models, galleries(each.name, each.rows, each.directions), args.batch)
        for gallery, recall in found.items():
            numbers[gallery] = {
                kind: {name: asdict(own) for name, own in by.items()} for kind, by in recall.items()
            }
            print(f"\n{gallery}, {len(each.rows)} rows\n", *table(costs, recall), sep="\n")
    return True


def _sets(args: argparse.Namespace, modalities: Sequence[str]) -> Sequence[EvaluatedRows]:
    """Return the rows of ``--data``."""
    from onepeace_pl.cli.evaluated_rows import TableOptions, is_config, rows_of_config, rows_of_tables

    if is_config(args.data):
        return rows_of_config(args.data[0], None, modalities, args.split)
    options = TableOptions({}, (), None, "raise")
    return [rows_of_tables(args.data, None, modalities, options)]


def _embed(args: argparse.Namespace, numbers: JsonObject) -> bool:
    from onepeace_pl.benchmarks.embedding import compare_embedding, generate, table
    from onepeace_pl.embedding import find_items
    from onepeace_pl.hub import OnePeace

    model = OnePeace.from_pretrained(args.folder, args.device, trust_remote_code=args.trust)
    with TemporaryDirectory() as name:
        made = Path(name, "made")
        if not args.sources:
            generate(made, args.pictures, args.sounds)
        items = list(find_items(args.sources or [made], model.modalities))
        print(f"{args.folder}, batch {args.batch}, {args.num_workers} workers; {args.rounds} rounds")
        found = compare_embedding(model, items, Path(name, "out"), args.batch, args.num_workers, args.rounds)
    numbers |= {f"{each.modality}, {each.plain_reader}": asdict(each) for each in found}
    print(*table(found), sep="\n")
    return args.assert_ratio is None or all(each.times.ratio >= args.assert_ratio for each in found)
