"""A model folder: config, weights, tokenizer and preprocessing, everything that inference needs.

``config.json`` (class paths and options), ``model.safetensors``, ``tokenizer.json`` where there is text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import onepeace_pl
from onepeace_pl.backbone import Backbone, build
from onepeace_pl.backbone.loading import WEIGHTS, load_state
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.description import describe, factory
from onepeace_pl.modalities.tokenizer import Tokenizer

CONFIG, TOKENIZER, EXTRA = "config.json", "tokenizer.json", "extra.safetensors"
FORMAT = 1


def save_folder(
    folder: str | Path,
    backbone: Backbone,
    processors: Mapping[str, Processor],
    state: Mapping[str, Tensor] | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a model folder.

    Args:
        folder: Made where it does not exist; files in it are replaced.
        backbone: Says the config and, without ``state``, the weights.
        processors: By modality.
        state: Full weights, for a backbone that is sharded.
        extra: Tensors that belong to no backbone (task heads of an official file), kept under their names.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described: dict[str, Any] = {}
    for name, processor in processors.items():
        described[name] = describe(processor)
        for option, value in described[name]["init_args"].items():
            if isinstance(value, Tokenizer):
                value.save(folder / TOKENIZER)
                described[name]["init_args"][option] = TOKENIZER
    config = {
        "format": FORMAT,
        "onepeace_pl": onepeace_pl.__version__,
        "backbone": backbone.describe(),
        "processors": described,
    }
    weights = backbone.state_dict() if state is None else state
    save_file(
        {k: t.detach().cpu().contiguous() for k, t in weights.items()}, folder / WEIGHTS, {"format": "pt"}
    )
    if extra:
        save_file(
            {k: t.detach().cpu().contiguous() for k, t in extra.items()}, folder / EXTRA, {"format": "pt"}
        )
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    return folder


def load_folder(
    folder: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> tuple[Backbone, dict[str, Processor]]:
    """Read a model folder.

    Args:
        folder: Written by :func:`save_folder`.
        device: Where the weights go.
        dtype: Of the weights; None leaves them as they are.

    Raises:
        FileNotFoundError: The folder or one of its files is missing.
        ValueError: The folder is of another kind, or its weights do not fit its config.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    config = read_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"{folder} has no {WEIGHTS}; copy the whole model folder")
    with torch.device("meta"):
        backbone = build(config["backbone"])
    backbone = backbone.to_empty(device=device)
    if dtype is not None:
        backbone = backbone.to(dtype)
    report = load_state(backbone, load_file(folder / WEIGHTS, device=str(device)), str(folder))
    wrong = report.new or report.left_over
    if wrong:
        raise ValueError(
            f"{folder}: weights and config do not belong together ({wrong[0]}, {len(wrong)} in all)"
        )
    backbone.apply_stage(backbone.modalities)
    return backbone.eval(), {
        name: _processor(folder, name, spec) for name, spec in config["processors"].items()
    }


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json``."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"no {CONFIG} in {folder}: a model folder is what a run leaves as RUN/model, or what convert writes"
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from None
    if config.get("format") != FORMAT or "backbone" not in config:
        raise ValueError(
            f"{path} is no config of this package's format {FORMAT}; it says {config.get('format')!r}"
        )
    return config


def _processor(folder: Path, name: str, spec: Mapping[str, Any]) -> Processor:
    options = dict(spec["init_args"])
    for option, value in options.items():
        if value == TOKENIZER:
            options[option] = Tokenizer.load(folder / TOKENIZER)
    return factory({**spec, "init_args": options}, Processor, f"processor {name!r}")()  # type: ignore[type-abstract]
