"""A model folder: config, weights, tokenizer and preprocessing, everything that inference needs.

``config.json`` (class paths and options), ``model.safetensors``, ``tokenizer.json`` where there is text,
``README.md`` (the model card); from a converted checkpoint also ``extra.safetensors`` (its task head) and
``official.json`` (its options); where there are low-rank adapters, these once more for peft. What a stage has left as
it was may be missing: then the config says which base has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import onepeace_pl
from onepeace_pl.backbone import Backbone, build
from onepeace_pl.backbone.base import Base
from onepeace_pl.backbone.loading import CONFIG, WEIGHTS, fit_state, on_base, read_base, read_safetensors
from onepeace_pl.files import replacing, write_text
from onepeace_pl.hub.adapters import write_adapters
from onepeace_pl.hub.card import model_card
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.description import describe, factory
from onepeace_pl.modalities.tokenizer import Tokenizer

TOKENIZER, EXTRA, CARD, OFFICIAL = (
    "tokenizer.json",
    "extra.safetensors",
    "README.md",
    "official.json",
)
FORMAT = 1


@dataclass(frozen=True)
class Origin:
    """Where converted weights came from; what a way back must know.

    Attributes:
        kind: Of the source: ``pretrain``, ``retrieval``, ``classify``, ``vision-only`` or ``lightning``.
        made_new: Parameters that the source did not have, so that they hold fresh values.
        buffers: Official names of the position buffers that the source held.
    """

    kind: str
    made_new: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()


def save_folder(
    folder: str | Path,
    backbone: Backbone,
    processors: Mapping[str, Processor],
    state: Mapping[str, Tensor] | None = None,
    extra: Mapping[str, Tensor] | None = None,
    origin: Origin | None = None,
    official: Mapping[str, Any] | None = None,
    base: Base | None = None,
) -> Path:
    """Write a model folder.

    Args:
        folder: Made where it does not exist; files of an older model in it are replaced, or removed.
        backbone: Says the config and, without ``state``, the weights.
        processors: By modality.
        state: Full weights, for a backbone that is sharded or on the meta device; with ``base``, what it lacks.
        extra: Tensors that belong to no backbone (task heads of an official file), kept under their names.
        origin: Of converted weights.
        official: Options of the official file, plain data.
        base: Has the weights that ``state`` leaves out.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described: dict[str, Any] = {}
    tokenizers: list[Tokenizer] = []
    for name, processor in processors.items():
        described[name] = describe(processor)
        for option, value in described[name]["init_args"].items():
            if isinstance(value, Tokenizer):
                if any(value != other for other in tokenizers):
                    raise ValueError(f"processor {name!r} has a tokenizer of its own; a folder holds one")
                tokenizers.append(value)
                described[name]["init_args"][option] = TOKENIZER
    config = {
        "format": FORMAT,
        "onepeace_pl": onepeace_pl.__version__,
        "backbone": backbone.describe(),
        "processors": described,
    }
    if origin is not None:
        config["origin"] = asdict(origin)
    if base is not None:
        config["base"] = base.tell(folder)
    state = backbone.state_dict() if state is None else state
    write_tensors(folder / WEIGHTS, state)
    where = None if base is None else base.path
    write_adapters(folder, backbone, state, where)
    write_tensors(folder / EXTRA, extra or {})
    _write_text(folder / TOKENIZER, tokenizers[0].to_json() if tokenizers else "")
    _write_text(folder / OFFICIAL, json.dumps(official, indent=2) + "\n" if official else "")
    made_new = () if origin is None else origin.made_new
    _write_text(folder / CARD, model_card(backbone, processors, made_new, sorted(extra or {}), where))
    _write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
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
    folder = Path(folder)
    config = read_config(folder)
    with torch.device("meta"):
        backbone = build(config["backbone"])
    state, report = fit_state(backbone, read_state(folder, backbone, str(device)), str(folder))
    wrong = report.new or report.left_over or report.resized
    if wrong:
        raise ValueError(
            f"{folder}: weights and config do not belong together ({wrong[0]}, {len(wrong)} in all)"
        )
    if dtype is not None:
        state = {name: tensor.to(dtype) for name, tensor in state.items()}
    backbone.load_state_dict(state, assign=True)
    backbone.apply_stage(backbone.modalities)
    return backbone.eval(), load_processors(folder, config)


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json``."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"no {CONFIG} in {folder}: a model folder is what a run leaves as RUN/model, or convert writes"
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT or "backbone" not in config:
        said = config.get("format") if isinstance(config, dict) else None
        raise ValueError(f"{path} is no config of this package's format {FORMAT}; it says {said!r}")
    return config


def read_state(folder: Path, backbone: Backbone, device: str = "cpu") -> dict[str, Tensor]:
    """Read the weights under our names; of a base, those that ``backbone`` has a place for."""
    base = read_base(folder)
    if base is None and not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"{folder} has no {WEIGHTS}; copy the whole model folder")
    own = read_safetensors(folder / WEIGHTS, device) if (folder / WEIGHTS).is_file() else {}
    if base is None:
        return own
    wanted = {name for name, _ in backbone.named_parameters()}
    state = on_base(own, base, folder)
    return {name: t.to(device) for name, t in state.items() if name in own or name in wanted}


def read_extra(folder: Path) -> dict[str, Tensor]:
    """Read the tensors that belong to no backbone; none where there is no such file."""
    return read_safetensors(folder / EXTRA) if (folder / EXTRA).is_file() else {}


def read_origin(config: Mapping[str, Any]) -> Origin | None:
    """Return the origin that a config tells, None where nothing was converted."""
    told = config.get("origin")
    if told is None:
        return None
    return Origin(told["kind"], tuple(told["made_new"]), tuple(told["buffers"]))


def read_official(folder: Path) -> dict[str, Any] | None:
    """Read the options of the official file that a folder came from."""
    path = folder / OFFICIAL
    return json.loads(path.read_text()) if path.is_file() else None


def load_processors(folder: Path, config: Mapping[str, Any]) -> dict[str, Processor]:
    """Make the processors that a config describes."""
    return {name: _processor(folder, name, spec) for name, spec in config["processors"].items()}


def _processor(folder: Path, name: str, spec: Mapping[str, Any]) -> Processor:
    options = dict(spec["init_args"])
    for option, value in options.items():
        if value == TOKENIZER:
            options[option] = Tokenizer.load(folder / TOKENIZER)
    return factory({**spec, "init_args": options}, Processor, f"processor {name!r}")()  # type: ignore[type-abstract]


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, or remove it where there are no tensors.

    It is written beside and renamed: tensors being written may be mapped from the very file that they replace.
    """
    from safetensors.torch import save_file

    if not tensors:
        path.unlink(missing_ok=True)
        return
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as new:
        save_file(_unshared(whole), new, {"format": "pt"})


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy what shares memory with another tensor, which the format cannot express."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        if place in seen and tensor.numel():
            tensors[name] = tensor.clone()
        seen.add(place)
    return tensors


def _write_text(path: Path, text: str) -> None:
    if text:
        write_text(path, text)
    else:
        path.unlink(missing_ok=True)
