"""Benchmark speed and memory against a plain implementation of the original.

bench step --preset base --batch 8        a whole pretraining step, forward and backward
bench attention --length 65 257           scaled dot-product attention, and the chosen kernel
bench layer --length 20 257               one block
bench bias                                relative position bias of all tokens, and of visible ones
bench ablation --preset tiny --batch 64   a pretraining step without each of the optimisations
bench memory --preset base --batch 4      peak memory of a whole pretraining step
bench loss --fit-exponent                 growth of the losses' memory with the batch size
bench dense --task FILE --label mask      peak memory of a dense task for one large image
bench vectors FOLDER --data FILE ...      recall and bytes of shorter, quantized and token vectors of a model
bench weights FOLDER --data FILE ...      memory, speed and recall of a model by its weights: float32, bf16, int8
bench weights --preset base               the same without recall, of random weights
bench data --rows 1000000                 start-up time and memory of reading very many rows of shards
bench embed FOLDER [SOURCES]              items a second of `embed` beside a plain DataLoader with the same model
bench start --compare CHECKOUT            CPU seconds until commands answer, beside those of another checkout
bench count MODEL --encode image+text     FLOPs, traffic, kernels and memory of an encoder call, without running it
"""

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from onepeace_pl.cli.model_options import add_trust_option
from onepeace_pl.cli.source_options import add_workers_option
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import write_text

if TYPE_CHECKING:
    from onepeace_pl.benchmarks.count import Count
    from onepeace_pl.benchmarks.resident import Lengths
    from onepeace_pl.benchmarks.roofline import Machine
    from onepeace_pl.cli.evaluated_rows import EvaluatedRows


def main(argv: Sequence[str]) -> int:
    """Measure and print; return 1 where an assertion on the command line does not hold."""
    args = _parser().parse_args(argv)
    if args.what == "start":  # no torch beside the processes that are measured
        return _start(args)
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    numbers: dict[str, Any] = {"torch": torch.__version__, "arguments": list(argv)}
    if args.what != "count":  # which is the same on all of them
        numbers |= {"machine": _machine(args.device), "threads": torch.get_num_threads()}
        print(f"{numbers['machine']}, {numbers['threads']} threads, torch {numbers['torch']}")
    verbs = {
        "memory": _memory,
        "loss": _loss,
        "dense": _dense,
        "ablation": _ablation,
        "vectors": _vectors,
        "weights": _weights,
        "embed": _embed,
        "data": _data,
        "count": _count,
    }
    good = verbs.get(args.what, _times)(args, numbers)
    if args.json:
        write_text(args.json, json.dumps(numbers, indent=2) + "\n")
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="what", required=True)
    timed = {
        "step": "a whole pretraining step, forward and backward",
        "attention": "the core of attention",
        "layer": "one block",
        "bias": "relative position bias",
        "ablation": "a whole pretraining step without each of the fast parts",
    }
    made = {name: verbs.add_parser(name, help=text) for name, text in timed.items()}
    for verb in made.values():
        verb.add_argument("--preset", default="base", help="model size; default: base")
        verb.add_argument("--batch", type=int, default=8, help="batch size; default: 8")
        verb.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
        verb.add_argument("--rounds", type=int, default=5, help="repetitions; default: 5")
        verb.add_argument(
            "--clock", choices=("wall", "cpu"), default="wall", help="cpu: CPU time of this process"
        )
        verb.add_argument("--fast-float32", action="store_true", help="float32 products by oneDNN, if exact")
    for name in ("step", "attention", "layer", "bias"):
        made[name].add_argument(
            "--assert-ratio", type=float, metavar="R", help="exit code 1 if a ratio is lower"
        )
    for name in ("step", "ablation"):
        made[name].add_argument("--stage", type=int, choices=(1, 2), default=1)
    made["ablation"].add_argument("--blocks", type=int, help="encoder blocks; default: the preset's")
    for name in ("attention", "layer"):
        made[name].add_argument(
            "--length", type=int, nargs="+", default=[20, 65, 257], help="sequence lengths"
        )
    made["bias"].add_argument("--side", type=int, default=16, help="patches along a side; default: 16")
    memory = verbs.add_parser("memory", help="peak memory of a whole pretraining step")
    memory.add_argument("--preset", default="base", help="model size; default: base")
    memory.add_argument("--stage", type=int, choices=(1, 2), default=1)
    memory.add_argument("--batch", type=int, default=4, help="batch size; default: 4")
    memory.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    memory.add_argument(
        "--assert-ratio", type=float, metavar="R", help="exit code 1 above this share of the original's peak"
    )
    loss = verbs.add_parser("loss", help="memory of the losses")
    loss.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128], help="batch sizes")
    loss.add_argument(
        "--fit-exponent", action="store_true", help="exit code 1 if memory grows faster than batch ** 1.1"
    )
    dense = verbs.add_parser("dense", help="memory of a dense task for one large image")
    dense.add_argument(
        "--task", type=Path, required=True, metavar="FILE", help="config of configs/parts/task"
    )
    dense.add_argument("--label", choices=("mask", "objects"), required=True, help="label of the task")
    dense.add_argument("--preset", default="base", help="model size; default: base")
    dense.add_argument("--size", type=int, default=1024, help="side of the image; default: 1024")
    dense.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    vectors = verbs.add_parser("vectors", help="recall and bytes of the vectors of a model")
    vectors.add_argument("folder", help="a model folder")
    _add_rows(vectors, required=True)
    vectors.add_argument(
        "--length", type=int, nargs="+", help="lengths; default: all values, 1/2, 1/4 and 1/8 of them"
    )
    vectors.add_argument("--batch", type=int, default=32, help="batch size; default: 32")
    weights = verbs.add_parser("weights", help="memory, speed and recall of float32, bf16 and int8 weights")
    weights.add_argument("folder", nargs="?", help="a model folder")
    weights.add_argument("--preset", help="instead of a folder: random weights of this size")
    _add_rows(weights, required=False)
    weights.add_argument("--batch", type=int, default=32, help="batch size; default: 32")
    weights.add_argument("--rounds", type=int, default=15, help="repetitions; default: 15")
    weights.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: CPU time of this process"
    )
    embed = verbs.add_parser("embed", help="items a second of embed")
    embed.add_argument("folder", help="a model folder")
    embed.add_argument("sources", nargs="*", help="files of images and sounds; default: generated ones")
    embed.add_argument("--pictures", type=int, default=1024, help="generated pictures; default: 1024")
    embed.add_argument("--sounds", type=int, default=512, help="generated sounds; default: 512")
    embed.add_argument("--batch", type=int, default=32, help="batch size; default: 32")
    embed.add_argument("--rounds", type=int, default=5, help="repetitions; default: 5")
    add_workers_option(embed)
    embed.add_argument("--assert-ratio", type=float, metavar="R", help="exit code 1 if a ratio is lower")
    add_trust_option(embed)
    start = verbs.add_parser("start", help="CPU seconds until commands answer")
    start.add_argument(
        "--compare", type=Path, metavar="CHECKOUT", help="another checkout, in turns with this one"
    )
    start.add_argument("--model", metavar="FOLDER", help="also load this model folder")
    start.add_argument("--rounds", type=int, default=5, help="repetitions; default: 5")
    start.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    data = verbs.add_parser("data", help="start-up time and memory of reading very many rows of shards")
    data.add_argument("--rows", type=int, default=1_000_000, help="number of rows; default: 1000000")
    data.add_argument("--ranks", type=int, default=2, help="processes that read; default: 2")
    data.add_argument("--num-workers", type=int, default=1, help="workers of each; default: 1")
    data.add_argument("--batch", type=int, default=64, help="rows in a batch of a rank; default: 64")
    data.add_argument("--shuffle", choices=("computed", "stored"), default="computed")
    data.add_argument("--folder", type=Path, help="of shards that are kept, and read if they are there")
    count = verbs.add_parser("count", help="FLOPs, traffic, kernels and memory, without running anything")
    count.add_argument("source", help="a model folder or a preset")
    count.add_argument(
        "--encode", metavar="MODALITY[+MODALITY...]", required=True, help="fields that become one vector"
    )
    count.add_argument("--batch-size", type=int, help="rows; default: 32")
    count.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    _add_lengths(count)
    count.add_argument(
        "--roofline", metavar="DEVICE", help="also the least time on h200, h100, a100, l4, epyc"
    )
    for verb in (*made.values(), memory, loss, dense, vectors, weights, embed, data, count):
        verb.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
        verb.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's")
        verb.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    return parser


def _add_lengths(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--tokens", type=int, nargs=2, default=[8, 22], metavar=("MIN", "MAX"), help="of texts; default: 8 22"
    )
    verb.add_argument("--seconds", type=float, default=1.0, help="of sounds; default: 1")


def _add_rows(verb: argparse.ArgumentParser, required: bool) -> None:
    verb.add_argument(
        "--data", nargs="+", metavar="FILE", required=required, help="tables or a config, as for evaluate"
    )
    verb.add_argument(
        "--split", choices=("validation", "test", "train"), default="validation", help="rows of a config"
    )
    add_trust_option(verb)


def _times(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
    import torch

    from onepeace_pl.benchmarks import cases
    from onepeace_pl.benchmarks.timing import compare
    from onepeace_pl.nn.fast.matmul import enable_fast_float32

    if args.fast_float32:
        print(enable_fast_float32())
    setting = cases.Setting(args.preset, args.batch, getattr(torch, args.dtype), args.device)
    print(f"{args.preset}, batch {args.batch}, {args.dtype}; {args.rounds} rounds, {args.clock} time, ms")
    if args.what == "step":
        made = cases.step(setting, args.stage)
    elif args.what == "bias":
        made = cases.bias(setting, args.side)
    else:
        made = getattr(cases, args.what)(setting, args.length)
    print(f"{'':48} {'ours':>9} {'original':>9}  ratio [least .. most]  kernel")
    good = True
    for case in made:
        result = compare(case.ours, case.reference, args.rounds, args.clock)
        numbers[case.name] = {**asdict(result), "kernel": case.kernel}
        spread = f"{result.ratio:.2f} [{result.least:.2f} .. {result.most:.2f}]"
        print(f"{case.name:48} {result.ours:9.2f} {result.reference:9.2f}  {spread:23}{case.kernel}".rstrip())
        good &= args.assert_ratio is None or result.ratio >= args.assert_ratio
    return good


def _ablation(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
    import torch

    from onepeace_pl.benchmarks import workload
    from onepeace_pl.benchmarks.ablation import PARTS, prices
    from onepeace_pl.benchmarks.cases import backward_of
    from onepeace_pl.nn.fast.matmul import enable_fast_float32

    if args.fast_float32:
        print(enable_fast_float32())
    backbone = workload.build(args.preset, args.stage, getattr(torch, args.dtype), args.device)
    if args.blocks:
        del backbone.encoder.transformer.blocks[args.blocks :]
    work = workload.make_batch(backbone, args.stage, args.batch)
    step = backward_of(lambda: workload.loss(backbone, work, args.stage), list(backbone.parameters()))
    whole, found = prices(step, PARTS, args.rounds, args.clock)
    print(f"step of stage {args.stage}, {args.preset}, batch {args.batch}, {args.dtype}: {whole:.1f} ms")
    print(f"{'without':44} cost of a step [quartiles of {args.rounds} rounds]")
    for price in found:
        print(f"{price.part:44} {price.ratio:.2f} [{price.low:.2f} .. {price.high:.2f}]")
    numbers["step"] = {"milliseconds": whole, "without": [asdict(price) for price in found]}
    return True


def _memory(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
    import torch

    from onepeace_pl.benchmarks.memory import step_memory

    dtype = getattr(torch, args.dtype)
    *ours, original = step_memory(args.preset, args.stage, args.batch, dtype, args.device)
    print(f"step of stage {args.stage}, {args.preset}, batch {args.batch}, {args.dtype}")
    print(f"{'':34} {'peak':>8}  MiB, of which weights {original.weights / 2**20:.0f}")
    good = True
    for found in (*ours, original):
        ratio = found.bytes / original.bytes
        numbers[found.name] = {**asdict(found), "ratio": ratio}
        print(f"{found.name:34} {found.bytes / 2**20:8.0f}  {ratio:.2f}")
        good &= found is original or args.assert_ratio is None or ratio <= args.assert_ratio
    return good


def _loss(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
    from onepeace_pl.benchmarks.memory import exponent, loss_bytes

    if len(args.batches) < 2:
        raise UserError(f"--batches {args.batches[0]}: growth needs at least two sizes")
    good = True
    print(f"{'peak of live MiB for a batch of':34}", *(f"{batch:>8}" for batch in args.batches), "  grows as")
    for loss in ("denoising", "alignment"):
        for tiled in (True, False):
            peaks = [loss_bytes(loss, tiled, batch, device=args.device) for batch in args.batches]
            name, power = f"{loss}, {'ours' if tiled else 'dense'}", exponent(args.batches, peaks)
            numbers[name] = {"batches": args.batches, "bytes": peaks, "exponent": power}
            print(f"{name:34}", *(f"{peak / 2**20:8.1f}" for peak in peaks), f"  batch ** {power:.2f}")
            good &= power <= 1.1 or not tiled or not args.fit_exponent
    return good


def _dense(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
    import torch

    from onepeace_pl.benchmarks.dense import peaks, read_task

    print(f"{args.task}, {args.preset}, one image of {args.size} pixels, {args.dtype}")
    print(f"{'':34} {'weights':>8} {'peak besides':>13}  MiB")
    dtype = getattr(torch, args.dtype)
    for peak in peaks(read_task(args.task), args.label, args.preset, args.size, dtype, args.device):
        numbers[peak.name] = asdict(peak)
        print(f"{peak.name:34} {peak.weights / 2**20:8.0f} {peak.bytes / 2**20:13.0f}  {peak.seconds:.1f} s")
    return True


def _vectors(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
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


def _weights(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
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


def _sets(args: argparse.Namespace, modalities: Sequence[str]) -> "Sequence[EvaluatedRows]":
    """Return the rows of ``--data``."""
    from onepeace_pl.cli.evaluated_rows import TableOptions, is_config, rows_of_config, rows_of_tables

    if is_config(args.data):
        return rows_of_config(args.data[0], None, modalities, args.split)
    options = TableOptions({}, (), None, "raise")
    return [rows_of_tables(args.data, None, modalities, options)]


def _embed(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
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


def _start(args: argparse.Namespace) -> int:
    from onepeace_pl.benchmarks.start import commands, measure_starts, row

    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds} must be at least 1")
    found = []
    sides = ["before", "after"] if args.compare else ["CPU seconds"]
    print(f"| command | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}")
    for times in measure_starts(commands(args.model), args.rounds, args.compare):
        found.append(asdict(times))
        print(row(times), flush=True)
    if args.json:
        write_text(args.json, json.dumps(found, indent=2) + "\n")
    return 0


def _data(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
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


def _count(args: argparse.Namespace, numbers: dict[str, Any]) -> bool:
    from onepeace_pl.benchmarks.count import table
    from onepeace_pl.benchmarks.resident import Lengths
    from onepeace_pl.benchmarks.roofline import find_machine

    if args.batch_size is not None and args.batch_size < 1:
        raise UserError(f"--batch-size {args.batch_size} must be at least 1")
    if args.device not in ("cpu", "cuda"):
        raise UserError(f"--device {args.device}: operators are counted for cpu or cuda")
    lengths = Lengths((args.tokens[0], args.tokens[1]), args.seconds)
    machine = None if args.roofline is None else find_machine(args.roofline)
    count, rows, what = _encode_count(args, lengths, machine)
    print(f"{what}, {rows} rows, on {args.device}; counted, not measured\n")
    print(*table(count, rows), sep="\n")
    if machine is not None:
        print(f"roofline: {machine.name}, {machine.source}; no kernel takes less, start-up is not in it")
    numbers |= count.to_json() | {"rows": rows}
    return True


def _encode_count(
    args: argparse.Namespace, lengths: "Lengths", machine: "Machine | None"
) -> "tuple[Count, int, str]":
    import torch

    from onepeace_pl.backbone import Backbone
    from onepeace_pl.backbone.build import from_preset
    from onepeace_pl.benchmarks.count import count_encode
    from onepeace_pl.benchmarks.fake import FakeDevice, materialise
    from onepeace_pl.benchmarks.resident import Preparation, in_dtype, resident_batch, vocabulary_of
    from onepeace_pl.checkpoints.folder import read_config
    from onepeace_pl.data.needs import Needs

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
    batch = in_dtype(resident_batch(Needs(modalities=tuple(fields)), {"": prepared}, lengths), dtype)
    backbone.to(dtype)
    with FakeDevice():
        materialise(backbone, args.device)
        count = count_encode(backbone, batch.to(args.device), machine)
    return count, rows, f"{args.encode} by {args.source}, {args.dtype}"


def _machine(device: str) -> str:
    import torch

    if device != "cpu":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        for line in cpus.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
