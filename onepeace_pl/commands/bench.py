"""Speed and memory beside a plain implementation of the original's way.

bench step --preset base --batch 4 --dtype float32      time of a whole pretraining step, forward and backward
bench loss --fit-exponent                               how the losses' memory grows with the batch
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main(argv: list[str]) -> int:
    """Measure, print, and fail where an assertion on the command line does not hold."""
    parser = argparse.ArgumentParser(prog="onepeace_pl bench", description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    step = verbs.add_parser("step", help="time of a pretraining step")
    step.add_argument("--preset", default="base")
    step.add_argument("--stage", type=int, choices=(1, 2), default=1)
    step.add_argument("--batch", type=int, default=4)
    step.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    step.add_argument("--rounds", type=int, default=5)
    step.add_argument("--threads", type=int, default=2)
    step.add_argument(
        "--assert-ratio", type=float, help="exit 1 where ours is not at least so many times faster"
    )
    loss = verbs.add_parser("loss", help="memory of the losses")
    loss.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    loss.add_argument(
        "--fit-exponent", action="store_true", help="exit 1 where ours grows faster than batch ** 1.1"
    )
    for verb in (step, loss):
        verb.add_argument("--json", type=Path, help="also write the numbers to this file")
    args = parser.parse_args(argv)
    numbers, good = _step(args) if args.what == "step" else _loss(args)
    if args.json:
        args.json.write_text(json.dumps(numbers, indent=2) + "\n")
    return 0 if good else 1


def _step(args: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    import torch

    from onepeace_pl.benchmarks.measure import compare_step

    torch.set_num_threads(args.threads)
    result = compare_step(args.preset, args.stage, args.batch, getattr(torch, args.dtype), args.rounds)
    machine = f"{platform.machine()}, {args.threads} threads, torch {torch.__version__}"
    print(f"step of stage {args.stage}, {args.preset}, batch {args.batch}, {args.dtype} ({machine})")
    print(f"  ours {result.ours:.0f} ms, the original's way {result.reference:.0f} ms")
    print(
        f"  {result.ratio:.2f} times faster [{result.least:.2f} .. {result.most:.2f}] over {args.rounds} rounds"
    )
    return {
        **asdict(result),
        "machine": machine,
    }, args.assert_ratio is None or result.ratio >= args.assert_ratio


def _loss(args: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from onepeace_pl.benchmarks.measure import exponent, loss_bytes

    numbers: dict[str, Any] = {"batches": args.batches}
    for loss in ("denoising", "alignment"):
        for tiled in (True, False):
            peaks = [loss_bytes(loss, tiled, batch) for batch in args.batches]
            name = f"{loss} {'ours' if tiled else 'dense'}"
            numbers[name] = {"bytes": peaks, "exponent": exponent(args.batches[1:], peaks[1:])}
            sizes = ", ".join(f"{peak / 2**20:.1f}" for peak in peaks)
            print(f"{name:16} MiB {sizes}; grows as batch ** {numbers[name]['exponent']:.2f}")
    good = all(numbers[f"{loss} ours"]["exponent"] <= 1.1 for loss in ("denoising", "alignment"))
    return numbers, good or not args.fit_exponent
