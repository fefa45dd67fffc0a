"""Benchmark speed and memory against a plain implementation of the original.

bench step --preset base --batch 8        a whole pretraining step, forward and backward
bench step CONFIG --mfu h200              phases of a config's training step, and its utilisation of a device
bench attention --length 65 257           scaled dot-product attention, and the chosen kernel
bench layer --length 20 257               one block
bench bias                                relative position bias of all tokens, and of visible ones
bench ablation --preset tiny --batch 64   a pretraining step without each of the optimisations
bench memory --preset base --batch 4      counts and peak memory of a pretraining step
bench loss --fit-exponent                 growth of the losses' memory with the batch size
bench dense --task FILE --label mask      peak memory of a dense task for one large image
bench vectors FOLDER --data FILE ...      recall and bytes of shorter, quantized and token vectors of a model
bench weights FOLDER --data FILE ...      memory, speed and recall of a model by its weights: float32, bf16, int8
bench weights --preset base               the same without recall, of random weights
bench data --rows 1000000                 start-up time and memory of reading very many rows of shards
bench embed FOLDER [SOURCES]              items a second of `embed` beside a plain DataLoader with the same model
bench start --compare CHECKOUT            CPU seconds until commands answer, beside those of another checkout
bench count CONFIG                        FLOPs, traffic, kernels and memory of a training step, without running it
bench count MODEL --encode image+text     the same of an encoder call of a model folder or a preset
"""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path

from onepeace_pl.commands.bench import count, data, memory, model, start, step
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import JsonObject

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Measure and print; return 1 where an assertion on the command line does not hold."""
    parser = argparse.ArgumentParser(
        "bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="what", required=True)
    for module in (step, memory, model, data, start, count):
        module.add(verbs)
    args, words = parser.parse_known_args(argv)
    args.words = words
    if args.words and args.what not in ("count", "step"):  # these take options of fit
        parser.error(f"unrecognized arguments: {' '.join(args.words)}")
    numbers: JsonObject = {"arguments": list(argv)}
    if args.what != "start":  # there no torch runs beside the processes that are measured
        numbers |= _prepare(args)
    good: bool = args.run(args, numbers)
    if args.json:
        write_text(args.json, json.dumps(numbers, indent=2) + "\n")
    return 0 if good else 1


def _prepare(args: argparse.Namespace) -> JsonObject:
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.what == "count":  # the same on all machines
        return {"torch": torch.__version__}
    machine, threads = _machine(args.device), torch.get_num_threads()
    print(f"{machine}, {threads} threads, torch {torch.__version__}")
    return {"torch": torch.__version__, "machine": machine, "threads": threads}


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
