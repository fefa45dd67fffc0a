"""LoRA weights in the file format of the peft library, without the library.

``adapter_config.json`` (rank, alpha, names of layers) and ``adapter_model.safetensors``, in which a tensor is called
``base_model.model.LAYER.lora_A.weight``. LAYER is a layer's name in a :class:`onepeace_pl.backbone.Backbone`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, LoRAStage
from onepeace_pl.checkpoints.loading import load_state, read_safetensors
from onepeace_pl.errors import UserError
from onepeace_pl.nn.lora import A, B, LoRA, merge_lora
from onepeace_pl.utils.files import replacing, write_text
from onepeace_pl.utils.json_files import read_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX, SUFFIX = "base_model.model.", ".weight"
BLOCKS = "encoder.transformer.blocks."
# options of peft that would change the meaning of the weights
PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "bias": "none",
    "use_rslora": False,
    "use_dora": False,
    "lora_bias": False,
    "fan_in_fan_out": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
}


def write_adapters(
    folder: Path, backbone: Backbone, state: Mapping[str, Tensor], base: str | None = None
) -> None:
    """Write a backbone's adapters; without any, remove the files of an older model.

    Args:
        folder: A model folder.
        backbone: Has the adapters.
        state: Its weights.
        base: Path of the weights that they were trained on.
    """
    from safetensors.torch import save_file

    stage = backbone.stage
    if not isinstance(stage, LoRAStage):
        for name in (CONFIG, WEIGHTS):
            (folder / name).unlink(missing_ok=True)
        return
    layers = [n for n, m in backbone.named_modules() if isinstance(m, LoRA)]
    config = PLAIN | {
        "base_model_name_or_path": base,
        "inference_mode": True,
        "lora_alpha": stage.scale * stage.lora,
        "lora_dropout": stage.dropout,
        "r": stage.lora,
        "target_modules": layers,
        "task_type": None,
    }
    tensors = {
        f"{PREFIX}{layer}.{part}{SUFFIX}": state[f"{layer}.{part}"].detach().cpu().contiguous()
        for layer in layers
        for part in (A, B)
    }
    with replacing(folder / WEIGHTS) as new:
        save_file(tensors, new, {"format": "pt"})
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def load_adapters(backbone: Backbone, folder: str | Path) -> LoRAStage:
    """Add to a backbone without adapters those that a folder holds, from this package or from peft.

    Args:
        backbone: Has the weights that the adapters were trained on.
        folder: With ``adapter_config.json`` and ``adapter_model.safetensors``.

    Returns:
        The new stage of the backbone.

    Raises:
        FileNotFoundError: One of the files is missing.
        UserError: They hold something else than plain low-rank adapters, or layers that the backbone does not have.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no {name} in {folder}: a run with stage lora leaves it in RUN/model")
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or not {"r", "lora_alpha"} <= config.keys():
        raise UserError(f"{folder / CONFIG} has no r and lora_alpha; is it peft's config of plain LoRA?")
    for option, value in PLAIN.items():
        if config.get(option, value) not in (value, None):
            raise UserError(
                f"{folder / CONFIG}: {option} is {config[option]!r}; only plain adapters are read, {option} {value!r}"
            )
    state = {}
    for name, tensor in read_safetensors(folder / WEIGHTS).items():
        if not (name.startswith(PREFIX + BLOCKS) and name.endswith((f".{A}{SUFFIX}", f".{B}{SUFFIX}"))):
            raise UserError(f"{folder / WEIGHTS}: {name} is no adapter of the encoder's blocks; leave it out")
        state[name.removeprefix(PREFIX).removesuffix(SUFFIX)] = tensor
    layers = dict.fromkeys(name.rpartition(".")[0].removeprefix(BLOCKS) for name in state)
    stage = LoRAStage(config["r"], config["lora_alpha"], config.get("lora_dropout") or 0.0, tuple(layers))
    backbone.adapt(stage)
    load_state(backbone, state, str(folder))
    return stage


def merged(backbone: Backbone, state: Mapping[str, Tensor], who: str) -> tuple[Backbone, dict[str, Tensor]]:
    """Fold adapters into weights.

    Args:
        backbone: Has adapters; it may be on the meta device.
        state: Its weights.
        who: Name of the model in error messages.

    Returns:
        A backbone without adapters, on the meta device, and its weights.
    """
    if not isinstance(backbone.stage, LoRAStage):
        raise UserError(f"--merge has no meaning for {who}, which has no low-rank adapters; leave it out")
    with torch.device("meta"):
        plain = Backbone.from_config({**backbone.to_config(), "stage": "vision_language"})
    return plain, merge_lora(state, backbone.stage.scale)
