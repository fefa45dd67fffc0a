"""A set of other sizes, in shards, passes the same comparisons: none of their sizes is typed in.

The set is made by our own model, so this says nothing about the original.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.checkpoints.names import to_official
from onepeace_pl.modalities.masking import build_mask

from . import pretraining, test_backbone, test_losses
from .files import record
from .reference import adapters, audio_language, decoder, pretrained, transformer, vision_language
from .test_files import write_shards

PAD, END, VOCABULARY, SIDE = 1, 2, 90, 5
ENCODER = {"embed_dim": 48, "ffn_embed_dim": 40, "layers": 2, "attention_heads": 3}
DECODER = {"embed_dim": 24, "ffn_embed_dim": 28, "layers": 1, "attention_heads": 3}
CHANNELS = "[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8,2,2)] + [(8,2,2)]"


@pytest.fixture(scope="module")
def another(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("set")
    config = record(golden, "config")
    config["vocabulary_size"] = VOCABULARY
    for run in pretraining.STAGES.values():
        given = config["tables"][run]
        given["task"]["patch_image_size"] = SIDE * 16
        given["model"]["encoder"] |= ENCODER
        given["model"]["decoder"] |= DECODER
        given["model"]["encoder"]["text_adapter"]["bucket_size"] = 8
        given["model"]["encoder"]["image_adapter"] |= {"bucket_size": SIDE, "rel_bucket_size": SIDE}
        given["model"]["encoder"]["audio_adapter"] |= {
            "feature_encoder_spec": CHANNELS,
            "bucket_size": 32,
            "conv_pos_depth": 2,
            "conv_pos_width": 19,
            "conv_pos_groups": 4,
        }
        given["criterion"] |= {"label_smoothing": 0.2, "dcl_logit_scale": 4.0}
    write(folder, "config", config)
    backbone = Backbone(adapters(folder), transformer(folder), decoder(folder))
    for parameter in backbone.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    write_shards(to_official(backbone.state_dict()), folder, 2, index=True)
    save_file(inputs_vl(), folder / "inputs_vl.safetensors")
    save_file(inputs_al(), folder / "inputs_al.safetensors")
    save_file(features(folder), folder / "features.safetensors")
    save_file(masked(folder), folder / "masked.safetensors")
    losses = {run: losses_and_gradients(folder, stage) for stage, run in pretraining.STAGES.items()}
    write(folder, "losses", {run: values for run, (values, _) in losses.items()})
    write(folder, "grad_norms", {run: {"with_grad": found} for run, (_, found) in losses.items()})
    return folder


def write(folder: Path, name: str, content: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(content))


def texts(rows: int, length: int) -> Tensor:
    tokens = torch.randint(4, VOCABULARY, (rows, length))
    tokens[:, -1] = END
    tokens[0, -4:] = torch.tensor([END, PAD, PAD, PAD])
    return tokens


def masks(name: str, fixed: Tensor, padding: Tensor | None, share: float) -> dict[str, Tensor]:
    """Hide some positions that are neither fixed nor padded."""
    hidden = (torch.rand(fixed.shape) < share) & ~fixed
    made = build_mask(hidden, padding)
    keep = made.keep if made.keep_padding is None else made.keep.masked_fill(made.keep_padding, -1)
    return {f"{name}_mask_indices": hidden, f"{name}_preserve_ids": keep}


def with_cls(flags: Tensor, value: bool) -> Tensor:
    return torch.cat([torch.full((len(flags), 1), value), flags], 1)


def inputs_vl(rows: int = 5) -> dict[str, Tensor]:
    tokens = texts(rows, 11)
    padding, fixed = with_cls(tokens == PAD, False), with_cls((tokens == PAD) | (tokens == END), True)
    patches = with_cls(torch.zeros(rows, SIDE**2, dtype=torch.bool), True)
    found = {"src_tokens": tokens, "src_images": torch.randn(rows, 3, SIDE * 16, SIDE * 16)}
    for name in ("text", "vl_text"):
        found |= masks(name, fixed, padding, 0.4)
    for name in ("image", "vl_image"):
        found |= masks(name, patches, None, 0.5)
    return found


def inputs_al(rows: int = 2) -> dict[str, Tensor]:
    tokens, frames = texts(rows, 8), 49
    waves = torch.randn(rows, 16000)
    waves[0, 9600:] = 0.0  # 29 frames are left
    heard = with_cls(torch.zeros(rows, frames, dtype=torch.bool), False)
    heard[0, 30:] = True
    padding, fixed = with_cls(tokens == PAD, False), with_cls((tokens == PAD) | (tokens == END), True)
    still = heard.clone()
    still[:, 0] = True
    found = {"src_tokens": tokens, "src_audios": waves, "audio_padding_masks": heard}
    found |= masks("al_text", fixed, padding, 0.4)
    for name in ("audio", "al_audio"):
        found |= masks(name, still, heard, 0.5)
    return found


@torch.no_grad()
def features(folder: Path) -> dict[str, Tensor]:
    backbone, vl, al = pretrained(folder), vision_language(folder)[0], audio_language(folder)[0]
    (text, image, both), scale = backbone(
        vl, [ForwardPass(("text",)), ForwardPass(("image",)), ForwardPass(("text", "image"))]
    )
    (audio, heard), _ = backbone(al, [ForwardPass(("audio",)), ForwardPass(("text", "audio"))])
    alone = type(al["audio"])(al["audio"].values[:1, :9600])
    (first,), _ = backbone({"audio": alone}, [ForwardPass(("audio",))])
    found = {"logit_scale_exp": scale, "audio.first_clip_alone.features": first.tokens["audio"]}
    for name, feature in (("text", text), ("image", image), ("audio", audio)):
        found |= {f"{name}.features": feature.tokens[name], f"{name}.proj": feature.embeddings[name]}
    for prefix, feature in (("vl", both), ("al", heard)):
        found |= {f"{prefix}.{name}_features": rows for name, rows in feature.tokens.items()}
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


@torch.no_grad()
def masked(folder: Path) -> dict[str, Tensor]:
    backbone, found = pretrained(folder), {}
    for prefix, (inputs, students) in (("vl", vision_language(folder)), ("al", audio_language(folder))):
        passes, _ = backbone(inputs, [ForwardPass(tuple(mask), mask) for mask in students.values()])
        for student, feature in zip(students, passes, strict=True):
            for name, restored in feature.reconstructed.items():
                found[f"{prefix}.student_{name}" if "+" in student else f"{name}.student"] = restored
                if "+" not in student:
                    found[f"{name}.encoded"] = feature.tokens[name]
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


def losses_and_gradients(folder: Path, stage: int) -> tuple[dict[str, Any], dict[str, Any]]:
    backbone = pretrained(folder).train()
    task = pretraining.task(folder, backbone, stage)
    task.learns["text"] = stage == 1
    backbone.apply_stage(task.reads.modalities)
    given = pretraining.batch(folder, stage)
    step = task(backbone, given)
    step.loss.backward()
    parts = {
        theirs: step.logs[ours].item() for theirs, ours in pretraining.PARTS.items() if ours in step.logs
    }
    logging = {"logit_scale_exp": step.logs["scale"].item(), "nsentences": len(given.ids)}
    gradients = {}
    for name, gradient in test_losses.official_gradients(backbone).items():
        flat = gradient.flatten()
        samples = flat[[0, len(flat) // 3, 2 * len(flat) // 3, len(flat) - 1]].tolist()
        gradients[name] = {"l2": flat.norm().item(), "absmax": flat.abs().max().item(), "samples": samples}
    return {"total": step.loss.item(), "parts": parts, "logging": logging}, gradients


def test_features(another: Path) -> None:
    test_backbone.test_features_and_projections(another)
    test_backbone.test_audio_features(another)
    test_backbone.test_masked_passes(another)


@pytest.mark.parametrize(("stage", "run"), pretraining.STAGES.items())
def test_losses_and_gradients(another: Path, stage: int, run: str) -> None:
    test_losses.test_losses(another, run, 7)
    test_losses.test_gradients(another, run, stage)
