"""Model folders: config, weights, tokenizer and preprocessing, all that inference needs.

``config.json`` (class paths and options), ``model.safetensors``, ``tokenizer.json`` where there is text,
``README.md`` (the model card; of a run also ``run.json`` and ``gallery.png``, which it shows), ``modules.json`` and
settings for sentence-transformers; ``calibration.safetensors`` and ``calibration.json`` where the model was calibrated
(:class:`onepeace_pl.hub.Calibration`); from a converted checkpoint also ``extra.safetensors`` (its task head) and
``official.json`` (its options); low-rank adapters once more in the files of peft. A partial folder omits frozen weights
and refers to its base weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.build import build_for
from onepeace_pl.checkpoints.base import BaseWeights
from onepeace_pl.checkpoints.card import model_card
from onepeace_pl.checkpoints.loading import (
    CONFIG,
    WEIGHTS,
    fit_state,
    read_base,
    read_safetensors,
    with_base_weights,
)
from onepeace_pl.checkpoints.peft import write_adapters
from onepeace_pl.checkpoints.run_record import PICTURE, RECORD, RunRecord
from onepeace_pl.checkpoints.sentence_transformers import write_sentence_transformers_files
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.utils.files import replacing, write_text
from onepeace_pl.utils.json_files import JsonObject, read_json, read_json_object
from onepeace_pl.version import VERSION

TOKENIZER, EXTRA, CARD, OFFICIAL = (
    "tokenizer.json",
    "extra.safetensors",
    "README.md",
    "official.json",
)
HEAD, TASK = "task.safetensors", "task.json"  # onepeace_pl.checkpoints.head
CALIBRATION, CALIBRATION_FACTS = "calibration.safetensors", "calibration.json"  # onepeace_pl.hub.calibration
FORMAT = 1


@dataclass(frozen=True)
class Origin:
    """Origin of converted weights, for the conversion back.

    Attributes:
        checkpoint_format: Source format: ``pretrain``, ``retrieval``, ``classify``, ``vision-only`` or ``lightning``.
        made_new: Parameters that the source did not have; they hold initial values.
        buffers: Official names of the position buffers that the source held.
    """

    checkpoint_format: str
    made_new: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()


def save_folder(
    folder: str | Path,
    backbone: Backbone,
    processors: Mapping[str, Processor],
    state: Mapping[str, Tensor] | None = None,
    extra: Mapping[str, Tensor] | None = None,
    origin: Origin | None = None,
    official: JsonObject | None = None,
    base: BaseWeights | None = None,
    weights: Mapping[str, object] | None = None,
    run: RunRecord | None = None,
    head: bool = False,
) -> Path:
    """Write a model folder, without a task's head (:func:`onepeace_pl.checkpoints.head.save_head`) or a calibration.

    Args:
        folder: Created if missing; files of an older model in it are replaced, or removed.
        backbone: Its config and, without ``state``, its weights are saved.
        processors: Processors by modality.
        state: Full weights, for a backbone that is sharded or on the meta device; with ``base``, those not omitted.
        extra: Tensors that belong to no backbone (task heads of an official file), kept under their names.
        origin: Origin of converted weights.
        official: Options of the official file, plain data.
        base: Reference to the weights that ``state`` omits.
        weights: Origin of the weights in a run, for the config and the model card.
        run: Record of the run, for the model card.
        head: A task's head will be saved, too, for the model card.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    configs: dict[str, JsonObject] = {}
    tokenizers: list[Tokenizer] = []
    for name, processor in processors.items():
        configs[name] = processor.to_config()
        for option, value in configs[name]["init_args"].items():
            if isinstance(value, Tokenizer):
                if any(value != other for other in tokenizers):
                    raise UserError(f"processor {name!r} has a tokenizer of its own; a folder holds one")
                tokenizers.append(value)
                configs[name]["init_args"][option] = TOKENIZER
    config = {
        "format": FORMAT,
        "onepeace_pl": VERSION,
        "backbone": backbone.to_config(),
        "processors": configs,
    }
    if origin is not None:
        config["origin"] = asdict(origin)
    if base is not None:
        config["base"] = base.to_config(folder)
    if weights:
        config["weights"] = dict(weights)
    state = backbone.state_dict() if state is None else state
    write_tensors(folder / WEIGHTS, state)
    where = None if base is None else base.path
    write_adapters(folder, backbone, state, where)
    write_tensors(folder / EXTRA, extra or {})
    # of an older model; others write this one's
    for name in (HEAD, TASK, CALIBRATION, CALIBRATION_FACTS, RECORD, PICTURE):
        (folder / name).unlink(missing_ok=True)
    _write_text(folder / TOKENIZER, tokenizers[0].to_json() if tokenizers else "")
    _write_text(folder / OFFICIAL, json.dumps(official, indent=2) + "\n" if official else "")
    if run is not None:
        run.save(folder)
    made_new = () if origin is None else origin.made_new
    card = model_card(backbone, processors, made_new, sorted(extra or {}), where, weights, run, head)
    _write_text(folder / CARD, card)
    write_sentence_transformers_files(folder)
    _write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    return folder


def add_run_record(
    folder: Path, run: RunRecord, backbone: Backbone, processors: Mapping[str, Processor]
) -> None:
    """Save the record of a run in its model folder, and write the model card again.

    Args:
        folder: Written by :func:`save_folder`.
        run: The record.
        backbone: The folder's; it may be on the meta device.
        processors: The folder's.
    """
    config = read_config(folder)
    origin, base = read_origin(config), config.get("base")
    run.save(folder)
    card = model_card(
        backbone,
        processors,
        () if origin is None else origin.made_new,
        sorted(read_extra(folder)),
        None if base is None else BaseWeights.from_config(base).path,
        config.get("weights"),
        run,
        (folder / HEAD).is_file(),
    )
    write_text(folder / CARD, card)


def load_folder(
    folder: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    trust_remote_code: bool = False,
) -> tuple[Backbone, dict[str, Processor]]:
    """Read a model folder.

    Args:
        folder: Written by :func:`save_folder`.
        device: Device of the weights.
        dtype: Dtype of the weights; None leaves them as they are.
        trust_remote_code: Import the folder's classes whatever their module (:mod:`onepeace_pl.utils.trust`).

    Raises:
        FileNotFoundError: The folder or one of its files is missing.
        UserError: The folder is no model folder, its weights do not fit its config, or a class is not trusted.
    """
    folder = Path(folder)
    config = read_config(folder)
    processors = load_processors(folder, config, trust_remote_code)
    backbone, state = read_model(folder, config, trust_remote_code)
    state, report = fit_state(backbone, state, str(folder))
    wrong = report.new or report.left_over or report.resized
    if wrong:
        raise UserError(
            f"{folder}: weights and config do not belong together ({wrong[0]}, {len(wrong)} in all)"
        )
    state = {name: _aligned(tensor.to(device, dtype)) for name, tensor in state.items()}
    backbone.load_state_dict(state, assign=True)
    backbone.apply_stage(backbone.modalities)
    return backbone.eval(), processors


def read_config(folder: Path) -> JsonObject:
    """Read and check ``config.json``."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"no {CONFIG} in {folder}: a model folder is what a run leaves as RUN/model, or convert writes"
        )
    config = read_json(path)
    if not isinstance(config, dict) or config.get("format") != FORMAT or "backbone" not in config:
        found = config.get("format") if isinstance(config, dict) else None
        raise UserError(f"{path} is no config of this package's format {FORMAT}, but {found!r}")
    return config


def read_model(folder: Path, config: JsonObject, trust: bool = False) -> tuple[Backbone, dict[str, Tensor]]:
    """Make a folder's backbone on the meta device, and read its weights."""
    base = read_base(folder)
    if base is None and not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"{folder} has no {WEIGHTS}; copy the whole model folder")
    own = read_safetensors(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else {}
    state = own if base is None else with_base_weights(own, base, folder)
    backbone = build_for(state, config["backbone"], str(folder / CONFIG), trust)
    wanted = {name for name, _ in backbone.named_parameters()}
    return backbone, {name: t for name, t in state.items() if base is None or name in own or name in wanted}


def _aligned(tensor: Tensor) -> Tensor:
    """Copy a tensor that the file's layout has not aligned to vector registers: products with it round otherwise."""
    return tensor if tensor.data_ptr() % 64 == 0 else tensor.clone()


def read_extra(folder: Path) -> dict[str, Tensor]:
    """Read the tensors that belong to no backbone; empty without such a file."""
    return read_safetensors(folder / EXTRA) if (folder / EXTRA).is_file() else {}


def read_origin(config: JsonObject) -> Origin | None:
    """Return the origin in a config; None where the model was not converted."""
    origin = config.get("origin")
    if origin is None:
        return None
    return Origin(origin["checkpoint_format"], tuple(origin["made_new"]), tuple(origin["buffers"]))


def read_official(folder: Path) -> JsonObject | None:
    """Read the options of the official file that a folder came from."""
    path = folder / OFFICIAL
    return read_json_object(path) if path.is_file() else None


def load_processors(
    folder: Path, config: JsonObject, trust: bool = False, file: str = CONFIG
) -> dict[str, Processor]:
    """Make the processors in a config.

    Args:
        folder: The model folder.
        config: Its config.
        trust: Import their classes whatever their module (:mod:`onepeace_pl.utils.trust`).
        file: Name of the config's file, for errors.

    Raises:
        UserError: One of them cannot be made, or its class is not trusted.
    """
    made = {}
    for name, spec in config.get("processors", {}).items():
        try:
            made[name] = _processor(folder, name, spec, trust)
        except Exception as error:  # a config in a file can be wrong in any way
            raise UserError(f"{folder / file}: {_reason(error)}") from error
    return made


def _processor(folder: Path, name: str, spec: JsonObject, trust: bool) -> Processor:
    options = dict(spec.get("init_args", {}))
    for option, value in options.items():
        if value == TOKENIZER:
            options[option] = Tokenizer.load(folder / TOKENIZER)
    return Processor.from_config({**spec, "init_args": options}, owner=f"processor {name!r}", trust=trust)


def _reason(error: Exception) -> str:
    line = first_line(error)
    return line if isinstance(error, ValueError | TypeError) else f"{type(error).__name__} {line}"


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, or remove it where there are no tensors.

    It is written to a temporary file and renamed: tensors may be memory-mapped from the file that they replace.
    """
    from safetensors.torch import save_file

    if not tensors:
        path.unlink(missing_ok=True)
        return
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as new:
        save_file(_unshared(whole), new, {"format": "pt"})


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that share memory, which the format cannot express."""
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
