"""Time of a pretraining step and of its parts beside the original's."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from onepeace_pl.commands.bench.count import measure_step
from onepeace_pl.commands.bench.options import (
    Verbs,
    add_clock,
    add_least_ratio,
    add_size,
    add_stage,
    add_verb,
)
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject


def add(verbs: Verbs) -> None:
    """Add ``step``, ``attention``, ``layer``, ``bias`` and ``ablation``."""
    timed = {
        "step": "a whole pretraining step, forward and backward",
        "attention": "the core of attention",
        "layer": "one block",
        "bias": "relative position bias",
        "ablation": "a whole pretraining step without each of the fast parts",
    }
    made = {
        name: add_verb(verbs, name, text, _ablation if name == "ablation" else _times)
        for name, text in timed.items()
    }
    for verb in made.values():
        add_size(verb, batch=8)
        add_clock(verb, rounds=5)
        verb.add_argument("--fast-float32", action="store_true", help="float32 products by oneDNN, if exact")
    for name in ("step", "attention", "layer", "bias"):
        add_least_ratio(made[name])
    made["step"].add_argument(
        "config", nargs="?", help="config of fit, and options of it, instead of a preset"
    )
    made["step"].add_argument(
        "--mfu", metavar="DEVICE", help="of a config: model FLOPs utilisation of h200, ..."
    )
    made["step"].add_argument("--trace", metavar="FILE", help="of a config: trace of one step")
    for name in ("step", "ablation"):
        add_stage(made[name])
    made["ablation"].add_argument("--blocks", type=int, help="encoder blocks; default: the preset's")
    for name in ("attention", "layer"):
        made[name].add_argument(
            "--length", type=int, nargs="+", default=[20, 65, 257], help="sequence lengths"
        )
    made["bias"].add_argument("--side", type=int, default=16, help="patches along a side; default: 16")


def _times(args: argparse.Namespace, numbers: JsonObject) -> bool:
    import torch

    from onepeace_pl.benchmarks import cases
    from onepeace_pl.benchmarks.timing import compare
    from onepeace_pl.nn.fast.matmul import enable_fast_float32

    if args.fast_float32:
        print(enable_fast_float32())
    if args.what == "step" and args.config:
        return measure_step(args, numbers)
    if args.words:
        raise UserError(f"unrecognized arguments: {' '.join(args.words)}")
    if args.what == "step" and (args.mfu or args.trace):
        raise UserError("--mfu and --trace are of a config's step; name the config")
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


def _ablation(args: argparse.Namespace, numbers: JsonObject) -> bool:
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
