"""Counts and peak memory of a pretraining step, memory of its losses and of dense tasks."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from onepeace_pl.commands.bench.options import Verbs, add_dtype, add_size, add_stage, add_verb
from onepeace_pl.errors import UserError
from onepeace_pl.utils.json_files import JsonObject


def add(verbs: Verbs) -> None:
    """Add ``memory``, ``loss`` and ``dense``."""
    memory = add_verb(verbs, "memory", "counts and peak memory of a whole pretraining step", _memory)
    add_size(memory, batch=4)
    add_stage(memory)
    memory.add_argument(
        "--assert-ratio", type=float, metavar="R", help="exit code 1 above this share of the original's peak"
    )
    loss = add_verb(verbs, "loss", "memory of the losses", _loss)
    loss.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128], help="batch sizes")
    loss.add_argument(
        "--fit-exponent", action="store_true", help="exit code 1 if memory grows faster than batch ** 1.1"
    )
    dense = add_verb(verbs, "dense", "memory of a dense task for one large image", _dense)
    dense.add_argument(
        "--task", type=Path, required=True, metavar="FILE", help="config of configs/parts/task"
    )
    dense.add_argument("--label", choices=("mask", "objects"), required=True, help="label of the task")
    dense.add_argument("--preset", default="base", help="model size; default: base")
    dense.add_argument("--size", type=int, default=1024, help="side of the image; default: 1024")
    add_dtype(dense)


def _memory(args: argparse.Namespace, numbers: JsonObject) -> bool:
    import torch

    from onepeace_pl.benchmarks.memory import step_costs

    dtype = getattr(torch, args.dtype)
    *ours, original = step_costs(args.preset, args.stage, args.batch, dtype, args.device)
    print(
        f"step of stage {args.stage}, {args.preset}, batch {args.batch}, {args.dtype}; shares of the original"
    )
    print(f"weights alone: {original.weights / 2**20:.0f} MiB\n")
    print("| | GFLOP | GB moved | kernels | peak, MiB |\n|---|---|---|---|---|")
    good = True
    for found in (*ours, original):
        cost, whole = found.cost, original.cost
        ratio = found.peak / original.peak
        numbers[found.name] = {**asdict(found), "ratio": ratio}
        cells = (
            f"{cost.flops / 1e9:,.1f} ({cost.flops / whole.flops:.2f})",
            f"{cost.bytes / 1e9:,.2f} ({cost.bytes / whole.bytes:.2f})",
            f"{cost.kernels:,} ({cost.kernels / whole.kernels:.2f})",
            f"{found.peak / 2**20:,.0f} ({ratio:.2f})",
        )
        print(f"| {found.name} | {' | '.join(cells)} |")
        good &= found is original or args.assert_ratio is None or ratio <= args.assert_ratio
    return good


def _loss(args: argparse.Namespace, numbers: JsonObject) -> bool:
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


def _dense(args: argparse.Namespace, numbers: JsonObject) -> bool:
    import torch

    from onepeace_pl.benchmarks.dense import peaks, read_task

    print(f"{args.task}, {args.preset}, one image of {args.size} pixels, {args.dtype}")
    print(f"{'':34} {'weights':>8} {'peak besides':>13}  MiB")
    dtype = getattr(torch, args.dtype)
    for peak in peaks(read_task(args.task), args.label, args.preset, args.size, dtype, args.device):
        numbers[peak.name] = asdict(peak)
        print(f"{peak.name:34} {peak.weights / 2**20:8.0f} {peak.bytes / 2**20:13.0f}  {peak.seconds:.1f} s")
    return True
