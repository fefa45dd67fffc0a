"""Counts of a training step and of an encoder call, and the time of a config's step."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.commands.bench.options import Verbs, add_dtype, add_verb
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from onepeace_pl.benchmarks.count import Count
    from onepeace_pl.benchmarks.resident import Lengths
    from onepeace_pl.benchmarks.roofline import Machine
    from onepeace_pl.cli.measured import MeasuredRun
    from onepeace_pl.data.batches import Batch

_NO_RECOMPUTATION = ("--model.backbone.transformer.activation_checkpointing", "none")


def add(verbs: Verbs) -> None:
    """Add ``count``."""
    count = add_verb(verbs, "count", "FLOPs, traffic, kernels and memory, without running anything", _count)
    count.add_argument(
        "source", help="config of fit, and options of it; with --encode a model folder or a preset"
    )
    count.add_argument("--encode", metavar="MODALITY[+MODALITY...]", help="fields that become one vector")
    count.add_argument("--batch-size", type=int, help="rows; default: the config's, 32 with --encode")
    count.add_argument(
        "--tokens", type=int, nargs=2, default=[8, 22], metavar=("MIN", "MAX"), help="of texts; default: 8 22"
    )
    count.add_argument("--seconds", type=float, default=1.0, help="of sounds; default: 1")
    add_dtype(count)
    count.add_argument(
        "--roofline", metavar="DEVICE", help="also the least time on h200, h100, a100, l4, epyc"
    )


def _count(args: argparse.Namespace, numbers: JsonObject) -> bool:
    from onepeace_pl.benchmarks.count import table
    from onepeace_pl.benchmarks.resident import Lengths
    from onepeace_pl.benchmarks.roofline import find_machine

    if args.batch_size is not None and args.batch_size < 1:
        raise UserError(f"--batch-size {args.batch_size} must be at least 1")
    if args.device not in ("cpu", "cuda"):
        raise UserError(f"--device {args.device}: operators are counted for cpu or cuda")
    lengths = Lengths((args.tokens[0], args.tokens[1]), args.seconds)
    machine = None if args.roofline is None else find_machine(args.roofline)
    count, rows, what = (_encode_count if args.encode else _step_count)(args, lengths, machine)
    print(f"{what}, {rows} rows, on {args.device}; counted, not measured\n")
    print(*table(count, rows), sep="\n")
    if machine is not None:
        print(f"roofline: {machine.name}, {machine.source}; no kernel takes less, start-up is not in it")
    numbers |= count.to_json() | {"rows": rows}
    return True


def _step_count(
    args: argparse.Namespace, lengths: Lengths, machine: Machine | None
) -> tuple[Count, int, str]:
    import torch

    from onepeace_pl.cli.measured import read_run

    if args.device != "cpu" and not torch.cuda.is_available():
        raise UserError(
            f"--device {args.device}: PyTorch's backward pass asks for the GPU's streams, so a step is counted where "
            "there is one; an encoder call (--encode) is counted without"
        )
    run = read_run(args.source, args.words, args.batch_size)
    batch = run.batch(lengths)
    return _counted(run, batch, args.device, machine), len(batch), f"step of {args.source}"


def _counted(run: MeasuredRun, batch: Batch, device: str, machine: Machine | None) -> Count:
    """Count the step of a run on a fake device; the batch is in host memory."""
    from onepeace_pl.benchmarks.count import count_step
    from onepeace_pl.benchmarks.fake import FakeDevice, materialise

    with FakeDevice():
        materialise(run.experiment, device)
        return count_step(run.step(batch.to(device)), machine)


def _encode_count(
    args: argparse.Namespace, lengths: Lengths, machine: Machine | None
) -> tuple[Count, int, str]:
    import torch

    from onepeace_pl.backbone import Backbone
    from onepeace_pl.backbone.build import from_preset
    from onepeace_pl.benchmarks.count import count_encode
    from onepeace_pl.benchmarks.fake import FakeDevice, materialise
    from onepeace_pl.benchmarks.resident import Preparation, in_dtype, resident_batch, vocabulary_of
    from onepeace_pl.checkpoints.folder import read_config
    from onepeace_pl.data.needs import Needs

    if args.words:
        raise UserError(f"unrecognized arguments with --encode: {' '.join(args.words)}")
    with torch.device("meta"):
        if Path(args.source).is_dir():
            backbone = Backbone.from_config(read_config(Path(args.source))["backbone"])
        else:
            backbone = from_preset(args.source, decoder=False)
    fields, rows = args.encode.split("+"), args.batch_size or 32
    processors = {}
    for name in fields:
        if name not in backbone.modalities:
            raise UserError(f"--encode {args.encode}: {args.source} reads {', '.join(backbone.modalities)}")
        processor = backbone.encoder.adapter(name).default_processor()
        if processor is None:
            raise UserError(
                f"--encode {name}: its adapter names no processor, so there is no synthetic input"
            )
        processors[name] = processor
    vocabulary = vocabulary_of(backbone.encoder.adapter(name).vocabulary for name in fields)
    prepared = Preparation(processors, rows, vocabulary=vocabulary)
    dtype: torch.dtype = getattr(torch, args.dtype)
    batch = in_dtype(resident_batch(Needs(modalities=tuple(fields)), prepared, lengths), dtype)
    backbone.to(dtype)
    with FakeDevice():
        materialise(backbone, args.device)
        count = count_encode(backbone, batch.to(args.device), machine)
    return count, rows, f"{args.encode} by {args.source}, {args.dtype}"


def measure_step(args: argparse.Namespace, numbers: JsonObject) -> bool:
    """Measure the step of a config."""
    from onepeace_pl.benchmarks.roofline import find_machine
    from onepeace_pl.benchmarks.utilisation import allocate, table, utilisation
    from onepeace_pl.cli.measured import read_run

    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds} must be at least 1")
    machine, flops = None, 0
    if args.mfu is not None:
        machine = find_machine(args.mfu)
        run = read_run(args.config, [*args.words, *_NO_RECOMPUTATION])
        flops = _counted(run, run.batch(), "cpu", None).whole.flops
    run = read_run(args.config, args.words)
    host = run.batch()
    allocate(run.experiment, args.device)
    trace = None if args.trace is None else Path(args.trace)
    found = utilisation(run.step(host.to(args.device)), host, args.rounds, flops, machine, trace)
    print(f"step of {args.config}, {len(host)} rows; {args.rounds} rounds")
    print(*table(found, len(host)), sep="\n")
    numbers |= asdict(found) | {"model_flops": flops, "rows": len(host)}
    return True
