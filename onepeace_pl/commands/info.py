"""Show versions, plug-ins and attention kernels; with --config, the model and its parameters.

Takes the options of ``fit``. The model is built on the meta device, without memory.
"""

import argparse
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from onepeace_pl.version import VERSION

LIBRARIES = (
    "torch",
    "lightning",
    "jsonargparse",
    "torchvision",
    "torchaudio",
    "torchmetrics",
    "mmdet",
    "mmsegmentation",
)


def main(argv: Sequence[str]) -> int:
    """Print everything and return the exit code."""
    parser = argparse.ArgumentParser("info", description=__doc__)
    parser.parse_known_args(argv)
    if argv:
        from onepeace_pl.cli.stand_in import build

        model, without_data = build(argv)
        if without_data:
            print(f"the data are not here ({without_data}): built without what only they know\n")
        _print("parameters", _parts(model))
    _print("versions", _versions())
    _print("plugins (entry points onepeace_pl.plugins)", _plugins())
    _print("attention kernels (the first row that fits is used)", _kernels())
    return 0


def _versions() -> Iterable[Sequence[str]]:
    yield "onepeace_pl", VERSION
    yield "python", platform.python_version()
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def _plugins() -> Iterable[Sequence[str]]:
    from onepeace_pl.utils.plugins import load_plugins

    for plugin in load_plugins():
        outcome = f"not loaded: {plugin.error}" if plugin.error else "loaded"
        yield plugin.name, plugin.target, plugin.package, outcome


def _kernels() -> Iterable[Sequence[str]]:
    from onepeace_pl.nn.fast.kernels import RULES

    yield "device", "dtype", "bias gradient", "any gradient", "tokens", "kernel", "why"
    for rule in RULES:
        dtype = str(rule.dtype).removeprefix("torch.")
        said = (rule.device, None if rule.dtype is None else dtype, rule.bias_grad, rule.grad)
        words = ("any" if value is None else str(value) for value in said)
        tokens = f"{rule.length} or more" if rule.length else "any"
        yield *words, tokens, rule.kernel, rule.why + (" (needs AMX)" if rule.tiles else "")


def _parts(model: Any) -> Iterable[Sequence[str]]:
    """Yield a row for each part: what, whose, parameters, how many of them train."""
    rows: dict[tuple[str, str], list[int]] = {}
    modalities = list(getattr(model.backbone, "modalities", ()))
    for name, parameter in model.named_parameters():
        steps = name.split(".")
        part = ".".join(steps[:2]) if steps[0] == "backbone" else steps[0]
        whose = next((step for step in steps if step in modalities), "shared")
        counts = rows.setdefault((part, whose), [0, 0])
        counts[0] += parameter.numel()
        counts[1] += parameter.numel() * parameter.requires_grad
    yield "part", "modality", "parameters", "trainable"
    for (part, whose), (total, trainable) in rows.items():
        yield part, whose, f"{total:,}", f"{trainable:,}"
    yield "all", "", *(f"{sum(column):,}" for column in zip(*rows.values(), strict=True))


def _print(title: str, rows: Iterable[Sequence[str]]) -> None:
    table = [list(row) for row in rows] or [["none"]]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print(title)
    for row in table:
        cells = (
            cell.rjust(width) if cell[:1].isdigit() and "," in cell else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        print(("  " + "  ".join(cells)).rstrip())
    print()
