"""The models of the reference numbers, in the sizes of their configuration, and the inputs of pretraining."""

from __future__ import annotations

import ast
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig
from onepeace_pl.checkpoints.names import from_official
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, Mask, ModalityInput, TextAdapter
from onepeace_pl.modalities.masking import build_mask

from .files import record, table, tensors

Rows = list[int] | slice
ALL = slice(None)
MODALITIES = ("text", "image", "audio")
PRETRAINING = "image_text_pretrain"  # the run that has the sizes of the pretraining model
NO_DECODER = DecoderConfig(depth=0)


def transformer(golden: Path, run: str = PRETRAINING, **options: Any) -> TransformerConfig:
    encoder = table(golden, run)["model"]["encoder"]
    return TransformerConfig(
        width=encoder["embed_dim"],
        depth=encoder["layers"],
        heads=encoder["attention_heads"],
        feed_forward=encoder["ffn_embed_dim"],
        layer_scale=encoder["layer_scale_init_value"] if encoder["use_layer_scale"] else 0.0,
        init_std=0.02,
        **options,
    )


def decoder(golden: Path, run: str = PRETRAINING) -> DecoderConfig:
    made = table(golden, run)["model"]["decoder"]
    return DecoderConfig(
        depth=made["layers"],
        width=made["embed_dim"],
        heads=made["attention_heads"],
        feed_forward=made["ffn_embed_dim"],
        hide_padding=False,
    )


def adapters(
    golden: Path, names: tuple[str, ...] = MODALITIES, run: str = PRETRAINING, image_size: int | None = None
) -> dict[str, Any]:
    config, encoder = table(golden, run), table(golden, run)["model"]["encoder"]
    text, image, audio = (encoder[f"{name}_adapter"] for name in MODALITIES)
    (channels,) = {layer[0] for layer in _convolutions(audio["feature_encoder_spec"])}
    made = {
        "text": partial(
            TextAdapter, vocabulary=record(golden, "config")["vocabulary_size"], buckets=text["bucket_size"]
        ),
        "image": partial(
            ImageAdapter,
            image_size=image_size or config["task"]["patch_image_size"],
            position_side=image["bucket_size"],
        ),
        "audio": partial(
            AudioAdapter,
            channels=channels,
            buckets=audio["bucket_size"],
            position_depth=audio["conv_pos_depth"],
            position_reach=audio["conv_pos_width"],
            position_groups=audio["conv_pos_groups"],
            hide_padding=False,
        ),
    }
    return {name: made[name] for name in names}


def _convolutions(spec: str) -> list[tuple[int, int, int]]:
    """Read the original's sum of lists, such as ``[(32, 10, 5)] + [(32, 3, 2)] * 4``."""
    layers = []
    for part in spec.split("+"):
        listed, _, times = part.partition("*")
        layers += ast.literal_eval(listed.strip()) * int(times or 1)
    return layers


def pretrained_state(golden: Path) -> dict[str, Tensor]:
    """Return the pretraining state under our names."""
    ours, left = from_official(tensors(golden, "pretrain_state"))
    assert not left
    return ours


def pretrained(golden: Path, **options: Any) -> Backbone:
    backbone = Backbone(adapters(golden), transformer(golden), decoder(golden), **options)
    backbone.load_state_dict(pretrained_state(golden))
    return backbone.eval()


def text_input(tokens: Tensor) -> ModalityInput:
    padding = torch.cat([torch.zeros(len(tokens), 1, dtype=torch.bool), tokens == 1], dim=1)
    return ModalityInput(tokens, padding if padding.any() else None)


def mask(x: dict[str, Tensor], name: str, padding: Tensor | None) -> Mask:
    """The mask of a student, as wide as the original made it: its empty slots are seen by audio's convolutions."""
    made, keep = build_mask(x[f"{name}_mask_indices"], padding), x[f"{name}_preserve_ids"]
    empty = keep == -1
    return replace(
        made, keep=keep.masked_fill(empty, keep.shape[1] - 1), keep_padding=empty if empty.any() else None
    )


def vision_language(
    golden: Path, rows: Rows = ALL
) -> tuple[dict[str, ModalityInput], dict[str, dict[str, Mask]]]:
    x = {k: t[rows] for k, t in tensors(golden, "inputs_vl").items()}
    inputs = {"text": text_input(x["src_tokens"]), "image": ModalityInput(x["src_images"])}
    padding = inputs["text"].padding
    masks = {
        "text": {"text": mask(x, "text", padding)},
        "image": {"image": mask(x, "image", None)},
        "text+image": {
            "text": mask(x, "vl_text", padding),
            "image": mask(x, "vl_image", None),
        },
    }
    return inputs, masks


def audio_language(
    golden: Path, rows: Rows = ALL
) -> tuple[dict[str, ModalityInput], dict[str, dict[str, Mask]]]:
    x = {k: t[rows] for k, t in tensors(golden, "inputs_al").items()}
    padding = x["audio_padding_masks"]
    inputs = {"text": text_input(x["src_tokens"]), "audio": ModalityInput(x["src_audios"], padding)}
    masks = {
        "audio": {"audio": mask(x, "audio", padding)},
        "text+audio": {
            "text": mask(x, "al_text", inputs["text"].padding),
            "audio": mask(x, "al_audio", padding),
        },
    }
    return inputs, masks


def fine_tuning_inputs(golden: Path) -> dict[str, ModalityInput]:
    x = tensors(golden, "finetune_inputs")
    return {
        "text": text_input(x["src_tokens"]),
        "image": ModalityInput(x["src_images"]),
        "audio": ModalityInput(x["src_audios"], x["audio_padding_masks"]),
    }
