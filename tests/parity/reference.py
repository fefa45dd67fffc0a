"""The pretraining model of the reference numbers, and its inputs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from onepeace_pl.backbone import Backbone, DecoderOptions, TransformerOptions
from onepeace_pl.backbone.interop import from_official
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, Mask, ModalityInput, TextAdapter
from onepeace_pl.modalities.masking import build_mask

Rows = list[int] | slice
ALL = slice(None)
TRANSFORMER = TransformerOptions(
    "debug", width=64, depth=3, heads=4, feed_forward=128, layer_scale=1e-6, init_std=0.02
)
DECODER = DecoderOptions(depth=2, width=32, heads=2, feed_forward=80, hide_padding=False)


def adapters(names: tuple[str, ...] = ("text", "image", "audio"), image_size: int = 64) -> dict:
    made = {
        "text": partial(TextAdapter, vocabulary=1204, buckets=16),
        "image": partial(ImageAdapter, image_size=image_size, position_side=4),
        "audio": partial(AudioAdapter, channels=32, buckets=64),
    }
    return {name: made[name] for name in names}


def pretrained(golden: Path, **options) -> Backbone:
    backbone = Backbone(adapters(), TRANSFORMER, DECODER, **options)
    ours, left = from_official(load_file(golden / "pretrain_state.safetensors"))
    assert not left
    backbone.load_state_dict(ours)
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
    x = {k: t[rows] for k, t in load_file(golden / "inputs_vl.safetensors").items()}
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
    x = {k: t[rows] for k, t in load_file(golden / "inputs_al.safetensors").items()}
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
