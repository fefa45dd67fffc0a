"""Comparison of two model folders: all that the embedding of a modality depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from onepeace_pl.backbone import Backbone, LoRAStage
from onepeace_pl.backbone.stages import owner_of
from onepeace_pl.checkpoints.comparison import Parameters, compare_parameters
from onepeace_pl.checkpoints.folder import load_folder, read_extra
from onepeace_pl.checkpoints.head import Head, head_of_folder
from onepeace_pl.hub.calibration import Calibration
from onepeace_pl.modalities import Processor
from onepeace_pl.utils.json_files import JsonObject

TRAINING = {  # options of the encoder that matter in training alone, or where its sizes come from
    "preset",
    "layer_scale",
    "init_std",
    "drop_path",
    "drop_path_mode",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "checkpoint",
}


@dataclass(frozen=True)
class Loaded:
    """A model folder, read whole.

    Attributes:
        backbone: The model.
        processors: Its preprocessing.
        head: The head of a task.
        extra: Tensors that belong to no backbone, such as an official file's head.
        calibration: The calibration of its vectors.
    """

    backbone: Backbone
    processors: Mapping[str, Processor]
    head: Head
    extra: Mapping[str, Tensor]
    calibration: Calibration | None = None

    @classmethod
    def of(cls, folder: str | Path, trust: bool = False) -> Self:
        """Read a folder."""
        folder = Path(folder)
        backbone, processors = load_folder(folder, trust_remote_code=trust)
        calibration = Calibration.of_folder(folder)
        return cls(backbone, processors, head_of_folder(folder), read_extra(folder), calibration)


def unequal(a: Loaded, b: Loaded, name: str, parameters: Parameters) -> list[str]:
    """List differences that can change embeddings: parameters, options, preprocessing, tokenizer, head, calibration.

    Options of training (``train_*`` of a processor, dropout, the decoder) do not count, nor does the scale of
    similarities. A head and a calibration count for every modality.

    Args:
        a: One model.
        b: The other.
        name: The modality.
        parameters: Those of both backbones, compared.
    """
    modalities = [*a.backbone.modalities, *b.backbone.modalities]
    parts = _parameters(parameters, name, modalities), _options(a, b, name), _head(a, b), _calibration(a, b)
    return list(chain(*parts))


def read_by(parameter: str, name: str, modalities: list[str]) -> bool:
    """Return whether a modality's embeddings depend on a parameter."""
    if parameter.startswith("decoder.") or parameter == "logit_scale":
        return False
    return owner_of(parameter, modalities) in (None, name)


def _parameters(found: Parameters, name: str, modalities: list[str]) -> Iterator[str]:
    for names, what in ((found.changed, "changed"), (found.only_a, "only in A"), (found.only_b, "only in B")):
        yield from (f"{each} {what}" for each in names if read_by(each, name, modalities))


def _options(a: Loaded, b: Loaded, name: str) -> Iterator[str]:
    first, second = (switches(model.backbone) for model in (a, b))
    yield from (f"transformer.{key}" for key in first if first[key] != second[key])
    adapters = [model.backbone.encoder.adapter(name).to_config() for model in (a, b)]
    yield from _described(adapters[0], adapters[1], "adapter")
    has = [name in model.processors for model in (a, b)]
    if has[0] != has[1]:
        yield f"processor only in {'A' if has[0] else 'B'}"
    elif has[0]:
        processors = [model.processors[name].to_config() for model in (a, b)]
        yield from _described(processors[0], processors[1], "processor")


def switches(backbone: Backbone) -> JsonObject:
    """Return the options of the encoder that embeddings of every modality depend on."""
    found = {key: value for key, value in vars(backbone.config).items() if key not in TRAINING}
    return found | {"lora scale": backbone.stage.scale if isinstance(backbone.stage, LoRAStage) else None}


def _described(a: Mapping[str, Any], b: Mapping[str, Any], what: str) -> Iterator[str]:
    if a["class_path"] != b["class_path"]:
        yield f"{what}: {a['class_path']} and {b['class_path']}"
        return
    for option, value in a["init_args"].items():
        if not option.startswith(("train_", "decoder_")) and value != b["init_args"][option]:
            yield "tokenizer" if option == "tokenizer" else f"{what}'s {option}"


def _head(a: Loaded, b: Loaded) -> Iterator[str]:
    heads = [{**model.extra, **{f"task.{n}": t for n, t in model.head.state.items()}} for model in (a, b)]
    found = compare_parameters(*heads)
    for names, what in ((found.changed, "changed"), (found.only_a, "only in A"), (found.only_b, "only in B")):
        if names:
            yield f"head: {names[0]} {what}"
    if heads[0] and heads[1] and a.head.config != b.head.config:
        yield "head: other classes or options (task.json)"


def _calibration(a: Loaded, b: Loaded) -> Iterator[str]:
    if a.calibration is None and b.calibration is None:
        return
    if a.calibration is None or b.calibration is None:
        yield f"calibration only in {'A' if b.calibration is None else 'B'}"
    elif not a.calibration.equals(b.calibration):
        yield "calibration"
