"""Workload of the benchmarks: a backbone of a preset, a random batch, and a pretraining step's passes and losses.

Shapes: B samples, L tokens with the CLS token at index 0, S image side in pixels, N audio samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.backbone.build import from_preset
from onepeace_pl.modalities import ImageAdapter, Mask, ModalityInput, TextAdapter
from onepeace_pl.modalities.audio.processor import count_frames
from onepeace_pl.modalities.masking import MaskRule, RandomTokens, Spans, WholeWords, build_mask
from onepeace_pl.modalities.text.tokenizer import PAD
from onepeace_pl.objectives import CrossModalContrast, DenoisingLoss

RATE = 16_000  # Hz


@dataclass(frozen=True)
class StudentPass:
    """A masked pass: its mask rules, its loss weights, and the teacher whose tokens it reconstructs."""

    hide: Mapping[str, MaskRule]
    weights: Mapping[str, float]
    teacher: Literal["own", "joint"]


@dataclass(frozen=True)
class PretrainingStage:
    """The passes and losses of one stage (paper, section 3.3)."""

    pair: tuple[str, str]
    learns: Mapping[str, bool]
    students: Mapping[str, StudentPass]


STAGES: dict[int, PretrainingStage] = {
    1: PretrainingStage(
        ("text", "image"),
        {"text": True, "image": True},
        {
            "text": StudentPass({"text": WholeWords(0.15)}, {"text": 0.5}, "own"),
            "image": StudentPass({"image": RandomTokens(0.75)}, {"image": 1.0}, "own"),
            "text+image": StudentPass(
                {"text": RandomTokens(0.4), "image": RandomTokens(0.6875)},
                {"text": 0.5, "image": 0.5},
                "joint",
            ),
        },
    ),
    2: PretrainingStage(
        ("text", "audio"),
        {"text": False, "audio": True},
        {
            "audio": StudentPass({"audio": Spans(0.55)}, {"audio": 1.0}, "joint"),
            "text+audio": StudentPass(
                {"text": WholeWords(0.4), "audio": Spans(0.45)}, {"text": 0.5, "audio": 0.5}, "joint"
            ),
        },
    ),
}


@dataclass
class Workload:
    """One batch: inputs by modality, and the masks of each student by modality."""

    inputs: dict[str, ModalityInput]
    masks: dict[str, dict[str, Mask]]


def build(preset: str, stage: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Backbone:
    """Make a preset's backbone for one stage, with biases and layer scales that matter as they do after training."""
    torch.manual_seed(0)
    backbone = from_preset(preset, STAGES[stage].pair)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if "bias.tables" in name:
                parameter.normal_(0, 0.5)
            elif name.endswith("gamma"):
                parameter.fill_(0.1)
    backbone.apply_stage(STAGES[stage].pair)
    return backbone.to(device=device, dtype=dtype).train()


def make_batch(backbone: Backbone, stage: int, batch: int, seconds: float = 1.0, seed: int = 0) -> Workload:
    """Make random samples: captions of 8 to 22 tokens, square images, audio of ``seconds``.

    Args:
        backbone: Its device, dtype and sizes are used.
        stage: 1 for text and images, 2 for text and audio.
        batch: Samples B.
        seconds: Length of each audio clip.
        seed: Random seed.
    """
    rng, plan = np.random.default_rng(seed), STAGES[stage]
    parameter = backbone.logit_scale
    device, dtype = parameter.device, parameter.dtype
    lengths, inputs = {}, {}
    for name in plan.pair:
        adapter = backbone.encoder.adapter(name)
        if isinstance(adapter, TextAdapter):
            lengths[name] = rng.integers(8, 23, batch)
            ids = torch.from_numpy(rng.integers(4, adapter.vocabulary, (batch, int(lengths[name].max()))))
            for row, length in enumerate(lengths[name]):
                ids[row, length - 1], ids[row, length:] = 2, PAD
            padding = torch.cat([torch.zeros(batch, 1, dtype=torch.bool), ids == PAD], dim=1)
            inputs[name] = ModalityInput(ids.to(device), padding)
        elif isinstance(adapter, ImageAdapter):
            size = adapter.image_size
            lengths[name] = np.full(batch, (size // 16) ** 2)
            pixels = torch.from_numpy(rng.standard_normal((batch, 3, size, size), dtype=np.float32))
            inputs[name] = ModalityInput(pixels.to(device, dtype))
        else:
            samples = int(seconds * RATE)
            lengths[name] = np.full(batch, count_frames(samples))
            waves = torch.from_numpy(rng.standard_normal((batch, samples), dtype=np.float32))
            inputs[name] = ModalityInput(waves.to(device, dtype))
    masks: dict[str, dict[str, Mask]] = {}
    for student, spec in plan.students.items():
        masks[student] = {}
        for name, rule in spec.hide.items():
            hidden = torch.zeros(batch, int(lengths[name].max()) + 1, dtype=torch.bool)
            for row, length in enumerate(lengths[name]):
                starts = np.ones(length, dtype=np.bool_) if name == "text" else None
                hidden[row, 1 : length + 1] = torch.from_numpy(rule(int(length), starts, rng))
            masks[student][name] = moved(build_mask(hidden, inputs[name].padding), device)
    for field in inputs.values():
        field.padding = None if field.padding is None else field.padding.to(device)
    return Workload(inputs, masks)


def moved(mask: Mask, device: torch.device) -> Mask:
    """Return the same mask on a device."""
    return Mask(
        keep=mask.keep.to(device),
        keep_padding=None if mask.keep_padding is None else mask.keep_padding.to(device),
        hidden=mask.hidden.to(device),
        keys=mask.keys.to(device),
        targets=mask.targets.to(device),
    )


def loss(backbone: Backbone, work: Workload, stage: int, tile: int = 1024) -> Tensor:
    """Run this project's step: all passes in one call of the backbone, tiled losses -> scalar."""
    plan = STAGES[stage]
    streams = {name: ForwardPass((name,), grad=plan.learns[name]) for name in plan.pair}
    if any(student.teacher == "joint" for student in plan.students.values()):
        streams["teacher"] = ForwardPass(plan.pair, grad=False)
    for name, student in plan.students.items():
        streams[f"student {name}"] = ForwardPass(tuple(student.hide), work.masks[name])
    features, scale = backbone(work.inputs, list(streams.values()))
    seen = dict(zip(streams, features, strict=True))
    first, second = plan.pair
    total: Tensor = CrossModalContrast(tile=tile)(
        seen[first].embeddings[first], seen[second].embeddings[second], scale
    ).loss
    denoise = DenoisingLoss(tile=tile)
    for name, student in plan.students.items():
        for modality, weight in student.weights.items():
            teacher = seen["teacher" if student.teacher == "joint" else modality].tokens[modality]
            restored = seen[f"student {name}"].reconstructed[modality]
            total = total + weight * denoise(restored, teacher, work.masks[name][modality]).loss
    return total
