"""The pretraining model of the reference numbers, and its inputs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from onepeace_pl.backbone import Backbone, DecoderOptions, TransformerOptions
from onepeace_pl.backbone.interop import from_official
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, Mask, ModalityInput, TextAdapter
from onepeace_pl.modalities.masking import build_mask

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


def vision_language(golden: Path) -> tuple[dict[str, ModalityInput], dict[str, dict[str, Mask]]]:
    x = load_file(golden / "inputs_vl.safetensors")
    inputs = {"text": text_input(x["src_tokens"]), "image": ModalityInput(x["src_images"])}
    padding = inputs["text"].padding
    masks = {
        "text": {"text": build_mask(x["text_mask_indices"], padding)},
        "image": {"image": build_mask(x["image_mask_indices"], None)},
        "text+image": {
            "text": build_mask(x["vl_text_mask_indices"], padding),
            "image": build_mask(x["vl_image_mask_indices"], None),
        },
    }
    return inputs, masks


def audio_language(golden: Path) -> tuple[dict[str, ModalityInput], dict[str, dict[str, Mask]]]:
    x = load_file(golden / "inputs_al.safetensors")
    padding = x["audio_padding_masks"]
    inputs = {"text": text_input(x["src_tokens"]), "audio": ModalityInput(x["src_audios"], padding)}
    masks = {
        "audio": {"audio": build_mask(x["audio_mask_indices"], padding)},
        "text+audio": {
            "text": build_mask(x["al_text_mask_indices"], inputs["text"].padding),
            "audio": build_mask(x["al_audio_mask_indices"], padding),
        },
    }
    return inputs, masks
